package counter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/cas"
)

// Errors of this package.
var (
	// ErrContended says that others were faster as often as [WithTries] allows. Nothing was applied.
	ErrContended = errors.New("others were faster")
	// ErrOverflow says that a counter's type has no room for the result. Nothing was applied.
	ErrOverflow = errors.New("overflow")
)

// DataError says that the data of a znode is not what the codec wants, or that a value cannot be encoded.
type DataError struct {
	Path string
	Data []byte // as stored; nil when encoding failed
	Err  error  // what is wrong with it
}

// Error names the path and shows the beginning of the data.
func (e *DataError) Error() string {
	if e.Data == nil {
		return fmt.Sprintf("%s: value cannot be stored: %v", e.Path, e.Err)
	}
	shown, more := e.Data, ""
	if len(shown) > 32 {
		shown, more = shown[:32], "…"
	}
	return fmt.Sprintf("%s: bad data %q%s: %v", e.Path, shown, more, e.Err)
}

// Unwrap returns what is wrong.
func (e *DataError) Unwrap() error { return e.Err }

// Missing stands for the version of a znode that does not exist.
const Missing = gazoo.AnyVersion

// Versioned is a value with the version of its znode.
type Versioned[T any] struct {
	Value   T
	Version int32 // Missing when there is no znode
	Stat    gazoo.Stat

	found bool
}

// Exists reports whether there is a znode.
func (v Versioned[T]) Exists() bool { return v.found }

// Change is what became of a value.
type Change[T any] struct {
	Pre, Post T
	Version   int32 // behind the change
	Stats     Stats // of this change alone
}

// Value is a value that several programs change together, one change on top of the other. Safe for concurrent use. It
// needs no close unless it has receipts ([WithReceipts]).
type Value[T any] struct {
	zk    *gazoo.Client
	path  string
	codec Codec[T]
	def   T
	cfg   *config
	stats totals
}

// NewValue makes the value of a path. Nothing is sent. While there is no znode, or its data is empty, the value is T's
// zero.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewValue[T any](zk *gazoo.Client, path string, codec Codec[T], opts ...Option) (*Value[T], error) {
	var zero T
	return newValue(zk, path, codec, zero, opts)
}

func newValue[T any](zk *gazoo.Client, path string, codec Codec[T], def T, opts []Option) (*Value[T], error) {
	cfg, err := configure(zk, path, codec != nil, opts)
	if err != nil {
		return nil, fmt.Errorf("new value: %w", err)
	}
	return &Value[T]{zk: zk, path: path, codec: codec, def: def, cfg: cfg}, nil
}

// Path returns the path of the value.
func (v *Value[T]) Path() string { return v.path }

// Close deletes the receipts, in the background. The value can still be used, with receipts that are made and deleted for
// each change.
func (v *Value[T]) Close() {
	if v.cfg.receipts != nil {
		v.cfg.receipts.Close(v.zk)
	}
}

// Get returns the value as the server connected to knows it, and the default when there is none.
//
// Errors: [*DataError], [gazoo.ErrNoAuth].
func (v *Value[T]) Get(ctx context.Context) (Versioned[T], error) {
	return v.decode(v.zk.Get(ctx, v.path))
}

// GetFresh is Get behind a sync with the leader.
func (v *Value[T]) GetFresh(ctx context.Context) (Versioned[T], error) {
	synced := v.zk.Async().Sync(ctx, v.path)
	read := v.zk.Async().Get(ctx, v.path)
	if _, err := synced.Wait(ctx); err != nil {
		return Versioned[T]{Version: Missing}, err
	}
	node, err := read.Wait(ctx)
	return v.decode(node.Data, node.Stat, err)
}

func (v *Value[T]) decode(data []byte, stat gazoo.Stat, err error) (Versioned[T], error) {
	missing := Versioned[T]{Value: v.def, Version: Missing}
	switch {
	case errors.Is(err, gazoo.ErrNoNode):
		return missing, nil
	case err != nil:
		return missing, err
	case len(data) == 0:
		return Versioned[T]{Value: v.def, Version: stat.Version, Stat: stat, found: true}, nil
	}
	value, err := v.codec.Decode(data)
	if err != nil {
		return Versioned[T]{Version: stat.Version, Stat: stat, found: true}, &DataError{Path: v.path, Data: data, Err: err}
	}
	return Versioned[T]{Value: value, Version: stat.Version, Stat: stat, found: true}, nil
}

func (v *Value[T]) encode(value T) ([]byte, error) {
	data, err := v.codec.Encode(value)
	if err != nil {
		return nil, &DataError{Path: v.path, Err: err}
	}
	return data, nil
}

// Update changes the value to what fn makes of it, as often as it takes until nobody else was faster. fn may be called
// several times and must not have effects of its own; an error of fn is returned as it is, and nothing is written.
//
// Errors: [*DataError], [ErrContended], those of fn, the lock and the server; the context's. When [gazoo.MaybeApplied]
// holds for it, the change may have been made.
func (v *Value[T]) Update(ctx context.Context, fn func(T) (T, error)) (Change[T], error) {
	return v.change(ctx, false, func(now Versioned[T]) (T, error) { return fn(now.Value) })
}

// Set sets the value, whatever it is. A lost answer is no doubt when the znode holds that value.
//
// Errors: as [Value.Update].
func (v *Value[T]) Set(ctx context.Context, value T) (Change[T], error) {
	return v.change(ctx, true, func(Versioned[T]) (T, error) { return value, nil })
}

// errDiffers ends a change whose condition does not hold.
var errDiffers = errors.New("another value")

// CompareAndSet sets the value if it is old, and reports whether it was. Values are equal when they are encoded alike; the
// default stands for a missing znode, which is then made.
//
// Errors: as [Value.Update].
func (v *Value[T]) CompareAndSet(ctx context.Context, old, value T) (swapped bool, err error) {
	want, err := v.encode(old)
	if err != nil {
		return false, err
	}
	_, err = v.change(ctx, false, func(now Versioned[T]) (T, error) {
		data, err := v.encode(now.Value)
		if err == nil && !bytes.Equal(data, want) {
			err = errDiffers
		}
		return value, err
	})
	if errors.Is(err, errDiffers) {
		return false, nil
	}
	return err == nil, err
}

// TrySet sets the value if the znode still has a version, [Missing] for none, and returns the new one. It does not try
// again when others were faster: that is set = false.
//
// Errors: as [Value.Update], but not ErrContended.
func (v *Value[T]) TrySet(ctx context.Context, version int32, value T) (next int32, set bool, err error) {
	data, err := v.encode(value)
	if err != nil {
		return 0, false, err
	}
	stat, err := v.write(version, version != Missing, data, false).Do(ctx, v.zk)
	if errors.Is(err, cas.ErrConflict) {
		return 0, false, nil
	}
	return stat.Version, err == nil, v.wrap("set", err)
}

// Initialize sets the value if there is no znode, and reports whether there was none. When the answer is lost and somebody
// else has initialised it with the same value, it counts as this one's.
//
// Errors: as [Value.TrySet].
func (v *Value[T]) Initialize(ctx context.Context, value T) (initialized bool, err error) {
	data, err := v.encode(value)
	if err != nil {
		return false, err
	}
	_, err = v.write(Missing, false, data, true).Do(ctx, v.zk)
	if errors.Is(err, cas.ErrConflict) {
		return false, nil
	}
	return err == nil, v.wrap("initialize", err)
}

func (v *Value[T]) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, v.path, err)
}

func (v *Value[T]) write(version int32, found bool, data []byte, anyAuthor bool) *cas.Write {
	return &cas.Write{
		Path: v.path, Data: data, Version: version, Missing: !found, AnyAuthor: anyAuthor,
		Create: v.cfg.create, Parents: v.cfg.parents, Receipts: v.cfg.receipts,
	}
}

// Watch iterates over the value: as it is at once, and then after each change. It survives lost connections and sessions,
// may coalesce changes that come faster than they are consumed, never goes backwards, and always delivers the last
// value. It ends when the loop breaks, or with an error as its last element.
//
// Errors: [*DataError], the context's, [gazoo.ErrClosed], [gazoo.ErrNoAuth].
func (v *Value[T]) Watch(ctx context.Context) iter.Seq2[Versioned[T], error] {
	return func(yield func(Versioned[T], error) bool) {
		for snap, err := range v.zk.WatchData(ctx, v.path) {
			if err == nil && !snap.Exists {
				err = gazoo.ErrNoNode
			}
			now, err := v.decode(snap.Data, snap.Stat, err)
			if !yield(now, err) || err != nil {
				return
			}
		}
	}
}
