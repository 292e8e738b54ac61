package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Curator's framing of the items of one znode: a version, for each item a marker, its length and its bytes, and a
// marker at the end.
const (
	frameVersion = 0x00010001
	frameItem    = 1
	frameEnd     = 2
)

var errFrame = errors.New("not in Curator's framing")

func appendFrame(dst []byte, items ...[]byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, frameVersion)
	for _, item := range items {
		dst = append(dst, frameItem)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(item)))
		dst = append(dst, item...)
	}
	return append(dst, frameEnd)
}

// parseFrame returns the items, which alias data. What stands behind the end marker is ignored, as Curator does.
func parseFrame(data []byte) (items [][]byte, err error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("%w: %d bytes", errFrame, len(data))
	}
	if v := binary.BigEndian.Uint32(data); v != frameVersion {
		return nil, fmt.Errorf("%w: version %#08x", errFrame, v)
	}
	for rest := data[4:]; ; {
		switch {
		case len(rest) > 0 && rest[0] == frameEnd:
			return items, nil
		case len(rest) < 5:
			return nil, fmt.Errorf("%w: ends within an item", errFrame)
		case rest[0] != frameItem:
			return nil, fmt.Errorf("%w: marker %d", errFrame, rest[0])
		}
		size := binary.BigEndian.Uint32(rest[1:])
		rest = rest[5:]
		if uint64(size) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: an item of %d bytes where %d are left", errFrame, size, len(rest))
		}
		items = append(items, rest[:size:size])
		rest = rest[size:]
	}
}
