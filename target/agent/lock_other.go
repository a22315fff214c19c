//go:build !unix && !windows

package agent

import (
	"errors"
	"os"
)

func tryLock(*os.File) error {
	return errors.New("this operating system has no file locks that cutover can use")
}
