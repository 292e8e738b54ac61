package env

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// maxValue bounds what is read as a znode's data: above every limit that a server could have, so
// that the client refuses it and says by how much.
const maxValue = 64 << 20

// Value returns the data that an argument stands for: itself, or all of stdin for "-".
func (e *Env) Value(ctx context.Context, arg string) ([]byte, error) {
	if arg != "-" {
		return []byte(arg), nil
	}
	data, err := reading(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(e.In, maxValue)) })
	if err != nil {
		return nil, fmt.Errorf("reading stdin: %w", err)
	}
	return data, nil
}

// Ask puts a question to the person at the terminal and reports whether the answer was yes.
func (e *Env) Ask(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(e.Err, "%s [y/N] ", question)
	answer, err := reading(ctx, func() (string, error) { return bufio.NewReader(e.In).ReadString('\n') })
	if err != nil && err != io.EOF {
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
