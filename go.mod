module github.com/mailweir/mailweir

go 1.26
