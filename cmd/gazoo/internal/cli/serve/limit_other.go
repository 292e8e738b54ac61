//go:build !unix

package serve

func ignoreFileLimit() {}
