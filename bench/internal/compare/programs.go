package compare

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/gazoo-zk/gazoo"

// build builds a program of this project.
func (r *Runner) build(ctx context.Context, pkg string) (string, error) {
	bin := filepath.Join(r.Dir, filepath.Base(pkg))
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, module+"/"+pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return bin, nil
}

// program returns how to start a load program, which is built at the first call.
func (r *Runner) program(ctx context.Context, name string) (program, error) {
	if p, ok := r.programs[name]; ok {
		return p, nil
	}
	var p program
	switch name {
	case Gazoo, Gozk, Raw:
		bin, err := r.build(ctx, "bench/cmd/load-"+name)
		if err != nil {
			return program{}, err
		}
		p.command = []string{bin}
	case Store:
		bin, err := r.build(ctx, "bench/cmd/load-store")
		if err != nil {
			return program{}, err
		}
		gazoo, err := r.build(ctx, "cmd/gazoo")
		if err != nil {
			return program{}, err
		}
		p.command = []string{bin, "-gazoo", gazoo, "-dir", r.Dir}
	default:
		dir, err := sources(ctx)
		if err != nil {
			return program{}, err
		}
		p.command, p.missing = peers[name](ctx, dir, r.Dir)
	}
	if r.programs == nil {
		r.programs = map[string]program{}
	}
	r.programs[name] = p
	return p, nil
}

// sources returns the directory with the programs in other languages.
func sources(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"/bench/internal/compare").Output()
	if err != nil {
		return "", fmt.Errorf("find the sources: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "..", "..", "peers"), nil
}

// peers make the programs in other languages, or say what is missing for that.
var peers = map[string]func(ctx context.Context, src, bin string) ([]string, error){
	Java: func(ctx context.Context, src, bin string) ([]string, error) {
		const classes = "/usr/share/java/zookeeper.jar:/usr/share/java/zookeeper-jute.jar:/usr/share/java/slf4j-api.jar:" +
			"/usr/share/java/slf4j-nop.jar:/usr/share/java/netty-all.jar"
		out := filepath.Join(bin, "load-java")
		if err := compile(ctx, "javac", "-d", out, "-cp", classes, filepath.Join(src, "java", "Load.java")); err != nil {
			return nil, err
		}
		return []string{"java", "-cp", out + ":" + classes, "Load"}, nil
	},
	C: func(ctx context.Context, src, bin string) ([]string, error) {
		out := filepath.Join(bin, "load-c")
		err := compile(ctx, "gcc", "-O2", "-DTHREADED", "-o", out, filepath.Join(src, "c", "load.c"), "-lzookeeper_mt", "-lpthread")
		return []string{out}, err
	},
	Kazoo: func(ctx context.Context, src, _ string) ([]string, error) {
		const python = "/usr/bin/python3" // Debian's, which has the package
		err := compile(ctx, python, "-c", "import kazoo.client")
		return []string{python, filepath.Join(src, "kazoo", "load.py")}, err
	},
}

// compile runs a compiler and says in one line why it failed.
func compile(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w: %s", name, err, first)
	}
	return nil
}
