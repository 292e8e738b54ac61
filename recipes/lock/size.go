package lock

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

const maxSize = math.MaxInt32

// sizeCodec is how a size is written. decode is false for data that is no size.
type sizeCodec struct {
	encode func(n int) []byte
	decode func(data []byte) (n int, ok bool)
}

var (
	// textSize is Kazoo's decimal text.
	textSize = sizeCodec{
		encode: func(n int) []byte { return strconv.AppendInt(nil, int64(n), 10) },
		decode: func(data []byte) (int, bool) {
			n, err := strconv.Atoi(strings.TrimSpace(string(data)))
			return n, err == nil
		},
	}
	// countSize is that of Curator's SharedCount.
	countSize = sizeCodec{
		encode: func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) },
		decode: func(data []byte) (int, bool) {
			if len(data) != 4 {
				return 0, false
			}
			return int(int32(binary.BigEndian.Uint32(data))), true
		},
	}
)

// limit is a size as it was read.
type limit struct {
	n       int
	version int32 // of the znode that says so
	counts  bool  // there is one, which must not change meanwhile
	watch   *gazoo.Watch
}

func (l limit) close() {
	if l.watch != nil {
		l.watch.Close()
	}
}

// limit reads how many permits there are, and writes it where it is missing.
func (s *Semaphore) limit(ctx context.Context, zk *gazoo.Client, watch bool) (limit, error) {
	if s.sizeAt == "" {
		return limit{n: s.size}, nil
	}
	for {
		l := limit{}
		data, stat, err := []byte(nil), gazoo.Stat{}, error(nil)
		if watch && s.shared {
			data, stat, l.watch, err = zk.GetW(ctx, s.sizeAt)
		} else {
			data, stat, err = zk.Get(ctx, s.sizeAt)
		}
		if errors.Is(err, gazoo.ErrNoNode) {
			if err := s.establish(ctx, zk); err != nil {
				return limit{}, err
			}
			continue
		}
		if err != nil {
			return limit{}, err
		}
		n, ok := s.codec.decode(data)
		switch {
		case !ok && s.shared && len(data) == 0: // made as the parent of something
			l.close()
			_, err := zk.Set(ctx, s.sizeAt, s.codec.encode(s.size), stat.Version)
			if err != nil && !errors.Is(err, gazoo.ErrBadVersion) && !errors.Is(err, gazoo.ErrNoNode) {
				return limit{}, err
			}
			continue
		case !ok && s.shared:
			l.close()
			return limit{}, fmt.Errorf("%w: %s holds none", ErrSizeMismatch, s.sizeAt)
		case !ok: // data of others
			n = s.size
		case !s.shared && n != s.size:
			return limit{}, fmt.Errorf("%w: %d in %s, %d wanted", ErrSizeMismatch, n, s.sizeAt, s.size)
		}
		l.n, l.version, l.counts = max(n, 0), stat.Version, ok
		return l, nil
	}
}

// establish makes the znode of the size.
func (s *Semaphore) establish(ctx context.Context, zk *gazoo.Client) error {
	opts := []gazoo.CreateOption{gazoo.Parents()}
	if acl := s.permit.cfg.acl; acl != nil {
		opts = append(opts, gazoo.WithACL(acl...))
	}
	_, err := zk.Create(ctx, s.sizeAt, s.codec.encode(s.size), opts...)
	if errors.Is(err, gazoo.ErrNodeExists) {
		return nil
	}
	return err
}

// Size returns how many permits there are.
//
// Errors: [ErrSizeMismatch], [gazoo.ErrNoAuth].
func (s *Semaphore) Size(ctx context.Context) (int, error) {
	l, err := s.limit(ctx, s.permit.zk, false)
	if err != nil {
		return 0, fmt.Errorf("size of semaphore %s: %w", s.Path(), err)
	}
	return l.n, nil
}

// Resize changes how many permits there are, for all programs that use [WithSharedSize] or Curator's SharedCount. More
// permits wake who waits for them. With fewer, none is taken away: there are no new ones until enough were given back.
// Of several that resize at the same time the last one decides.
//
// Errors: [gazoo.ErrBadArguments] when the size is fixed, or n is negative; [gazoo.ErrNoAuth]. After a lost answer it may
// have been applied: [gazoo.MaybeApplied].
func (s *Semaphore) Resize(ctx context.Context, n int) error {
	if !s.shared || n < 0 || n > maxSize {
		return fmt.Errorf("resize semaphore %s: %w", s.Path(), &gazoo.ArgumentError{Arg: "size", Reason: "is fixed, negative or too large"})
	}
	zk := s.permit.zk
	for {
		l, err := s.limit(ctx, zk, false)
		if err == nil {
			_, err = zk.SetIdempotent(ctx, s.sizeAt, s.codec.encode(n), l.version)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil && (errors.Is(err, gazoo.ErrBadVersion) || errors.Is(err, gazoo.ErrNoNode)):
		default:
			return fmt.Errorf("resize semaphore %s: %w", s.Path(), err)
		}
	}
}
