module github.com/gazoo-zk/gazoo

go 1.26
