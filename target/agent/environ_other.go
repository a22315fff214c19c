//go:build !windows

package agent

func systemEnv() []string { return fixedEnv }
