package main

import (
	"math"
	"slices"
)

// point is a value at a time.
type point struct{ x, y float64 }

// growth is what a line through points says about their begin and end.
type growth struct{ first, last float64 }

// percent returns by how much it has grown, rounded up; 0 when it has shrunk.
func (g growth) percent() int {
	if g.last <= g.first || g.first <= 0 {
		return 0
	}
	return int(math.Ceil((g.last - g.first) / g.first * 100))
}

// fit lays a line through points: its slope is the median of the slopes between any two of them, which a few that lie far
// off cannot turn.
func fit(points []point) growth {
	if len(points) == 0 {
		return growth{}
	}
	var slopes []float64
	for i, a := range points {
		for _, b := range points[i+1:] {
			if b.x != a.x {
				slopes = append(slopes, (b.y-a.y)/(b.x-a.x))
			}
		}
	}
	slope := median(slopes)
	var offsets []float64
	for _, p := range points {
		offsets = append(offsets, p.y-slope*p.x)
	}
	offset := median(offsets)
	return growth{offset + slope*points[0].x, offset + slope*points[len(points)-1].x}
}

// median returns the middle one of some values, which it sorts; 0 when there are none.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
