package ensemble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// RequireVariable is the environment variable that makes [Require] fail instead of skip when it is "1".
	RequireVariable = "GAZOO_REQUIRE_ZOOKEEPER"
	// ClasspathVariable is the environment variable with the class path of a ZooKeeper to use instead of Debian's.
	ClasspathVariable = "GAZOO_ZOOKEEPER_CLASSPATH"
)

const debianJars = "/usr/share/java"

// jars are what a server needs beside what zookeeper.jar names in its own manifest: a logging backend, without which
// errors go nowhere, and what Netty and the admin server lack there.
var jars = []string{
	"zookeeper.jar",
	"slf4j-log4j12.jar",
	"log4j-1.2.jar",
	"netty-codec.jar",
	"netty-resolver.jar",
	"netty-transport-native-unix-common.jar",
	"servlet-api.jar",
}

// Available returns nil when ZooKeeper can be started here, and otherwise an error that says in one line what is
// missing.
func Available() error {
	_, javaErr := javaPath()
	_, jarsErr := classpath()
	return oneLine(platformErr(), javaErr, jarsErr)
}

// Require skips the test when ZooKeeper is not available, and fails it when [RequireVariable] is set to "1".
func Require(tb testing.TB) {
	tb.Helper()
	err := Available()
	switch {
	case err == nil:
	case os.Getenv(RequireVariable) == "1":
		tb.Fatalf("%v, and %s=1 forbids to skip", err, RequireVariable)
	default:
		tb.Skipf("%v", err)
	}
}

func javaPath() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path := filepath.Join(home, "bin", "java")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath("java")
	if err != nil {
		return "", errors.New("no java on the PATH or in JAVA_HOME (Debian: openjdk-17-jre-headless)")
	}
	return path, nil
}

func classpath() (string, error) {
	if cp := os.Getenv(ClasspathVariable); cp != "" {
		return cp, nil
	}
	paths := make([]string, 0, len(jars))
	var missing []string
	for _, jar := range jars {
		path := filepath.Join(debianJars, jar)
		if _, err := os.Stat(path); err != nil {
			missing = append(missing, jar)
		}
		paths = append(paths, path)
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("no %s in %s (Debian: zookeeper, libzookeeper-java)", strings.Join(missing, ", "), debianJars)
	}
	return strings.Join(paths, string(os.PathListSeparator)), nil
}

// oneLine joins errors with semicolons, since a skip reason should be one line.
func oneLine(errs ...error) error {
	var texts []string
	for _, err := range errs {
		if err != nil {
			texts = append(texts, err.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("ensemble: no Apache ZooKeeper: %s", strings.Join(texts, "; "))
}
