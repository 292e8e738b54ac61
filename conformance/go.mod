module github.com/gazoo-zk/gazoo/conformance

go 1.26
