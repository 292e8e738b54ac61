package peer

import (
	"crypto/sha256"
	_ "embed" // for the programs
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed peer.py
var python string

//go:embed Peer.java
var java string

// debianPython is Debian's: another one on the PATH would not have Debian's packages.
const debianPython = "/usr/bin/python3"

const debianJars = "/usr/share/java"

// jars are what Peer.java uses; they name in their manifests what else they need.
var jars = []string{
	"curator-client", "curator-framework", "curator-recipes", "curator-x-discovery",
	"zookeeper", "zookeeper-jute", "zookeeper-recipes-lock", "zookeeper-recipes-election", "zookeeper-recipes-queue",
	"jackson-core", "jackson-databind", "jackson-annotations", "guava", "slf4j-api", "slf4j-simple",
	"netty-codec", "netty-resolver", "netty-transport-native-unix-common",
}

// Available returns nil when all peers can be started here, and otherwise an error that says in one line what is
// missing. What Debian has of it is installed by .ci/setup.
func Available() error {
	if err := exec.Command(debianPython, "-c", "import kazoo").Run(); err != nil {
		return fmt.Errorf("peer: no Kazoo for %s (Debian: python3-kazoo)", debianPython)
	}
	if _, err := exec.LookPath("javac"); err != nil {
		return errors.New("peer: no javac on the PATH (Debian: openjdk-17-jdk-headless)")
	}
	for _, jar := range jars {
		if _, err := os.Stat(filepath.Join(debianJars, jar+".jar")); err != nil {
			return fmt.Errorf("peer: no %s.jar in %s (Debian: libcurator-recipes-java, libcurator-discovery-java)", jar, debianJars)
		}
	}
	return nil
}

// Kazoo starts a process with Kazoo.
func Kazoo() (*Process, error) {
	cmd := exec.Command(debianPython, "-c", python)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return start("kazoo", cmd)
}

// Curator starts a process with Curator and ZooKeeper's own recipes. The first time it compiles the program, into the
// user's cache.
func Curator() (*Process, error) {
	classpath := make([]string, len(jars))
	for i, jar := range jars {
		classpath[i] = filepath.Join(debianJars, jar+".jar")
	}
	dir, err := compile(strings.Join(classpath, ":"))
	if err != nil {
		return nil, err
	}
	return start("curator", exec.Command("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Dzookeeper.sasl.client=false",
		"-cp", dir+":"+strings.Join(classpath, ":"), "Peer"))
}

// compile returns the folder with the classes of Peer.java.
func compile(classpath string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	sum := sha256.Sum256([]byte(classpath + java))
	dir := filepath.Join(cache, "gazoo-interop", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "Peer.class")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "compile-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	src := filepath.Join(tmp, "Peer.java")
	if err := os.WriteFile(src, []byte(java), 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command("javac", "-nowarn", "-encoding", "UTF-8", "-d", tmp, "-cp", classpath, src).CombinedOutput(); err != nil {
		return "", fmt.Errorf("javac: %w\n%s", err, out)
	}
	if err := os.Rename(tmp, dir); err != nil {
		// Another process may have been first.
		if _, statErr := os.Stat(filepath.Join(dir, "Peer.class")); statErr != nil {
			return "", err
		}
	}
	return dir, nil
}
