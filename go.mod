module github.com/cutover-deploy/cutover

go 1.26
