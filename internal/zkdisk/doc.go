// Package zkdisk reads and writes Apache ZooKeeper's files: transaction logs and snapshots.
package zkdisk
