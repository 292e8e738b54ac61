package output

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Stat is a znode's stat in JSON. Transaction and session ids are strings in the servers' own
// notation, since most JSON readers would round them.
type Stat struct {
	Czxid          string `json:"czxid"`
	Mzxid          string `json:"mzxid"`
	Pzxid          string `json:"pzxid"`
	Ctime          string `json:"ctime"`
	Mtime          string `json:"mtime"`
	Version        int32  `json:"version"`
	Cversion       int32  `json:"cversion"`
	Aversion       int32  `json:"aversion"`
	EphemeralOwner string `json:"ephemeral_owner"`
	DataLength     int32  `json:"data_length"`
	NumChildren    int32  `json:"num_children"`
}

// StatOf returns the JSON form of a stat.
func StatOf(s gazoo.Stat) *Stat {
	return &Stat{
		Czxid: Hex(s.Czxid), Mzxid: Hex(s.Mzxid), Pzxid: Hex(s.Pzxid),
		Ctime: Time(s.Created()), Mtime: Time(s.Modified()),
		Version: s.Version, Cversion: s.Cversion, Aversion: s.Aversion,
		EphemeralOwner: Hex(s.EphemeralOwner),
		DataLength:     s.DataLength, NumChildren: s.NumChildren,
	}
}

// Rows returns the stat as name and value, with the names that JSON has.
func (s *Stat) Rows() [][]string {
	number := func(n int32) string { return strconv.Itoa(int(n)) }
	return [][]string{
		{"czxid", s.Czxid},
		{"mzxid", s.Mzxid},
		{"pzxid", s.Pzxid},
		{"ctime", s.Ctime},
		{"mtime", s.Mtime},
		{"version", number(s.Version)},
		{"cversion", number(s.Cversion)},
		{"aversion", number(s.Aversion)},
		{"ephemeral_owner", s.EphemeralOwner},
		{"data_length", number(s.DataLength)},
		{"num_children", number(s.NumChildren)},
	}
}

// Hex returns an id as servers print it.
func Hex(id int64) string { return fmt.Sprintf("%#x", uint64(id)) }

// Time returns a time of a server in UTC, with its milliseconds.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
