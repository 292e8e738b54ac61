package main

import (
	"fmt"
	"syscall"
)

// realDisk refuses file systems in memory, where a sync costs nothing.
func realDisk(dir string) error {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	if t := uint32(fs.Type); t == tmpfs || t == ramfs {
		return fmt.Errorf("%s is in memory: name a directory on a disk with -dir", dir)
	}
	return nil
}
