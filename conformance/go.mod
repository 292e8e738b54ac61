module github.com/gazoo-zk/gazoo/conformance

go 1.26

require pgregory.net/rapid v1.3.0
