//go:build unix

package agent

// expectations hold for the recorded cases that are marked as defects.
var expectations = map[string]expectation{
	"019-previous-revision-folder-lost": {
		{outcome: "succeeded", tree: []string{"./", "release.txt"}, trace: anything},
		{outcome: "succeeded", tree: []string{"./", "release.txt"}, trace: anything},
		{outcome: "succeeded", tree: []string{"./", "release.txt"}, trace: anything},
	},
	"021-failed-validation-counts-as-previous": {
		{outcome: "succeeded", tree: []string{"./", "release.txt"}, trace: anything},
		{outcome: "failed", failed: "ValidateService", code: "ScriptFailed", tree: []string{"./", "release.txt"}, trace: anything},
		{outcome: "succeeded", tree: []string{"./", "release.txt"}, trace: anything},
	},
	"051-script-location-with-space": {
		{outcome: "succeeded", trace: []string{"BeforeInstall|a|d-000000001|root"}},
	},
	"052-script-location-with-shell-characters": {
		{outcome: "succeeded", trace: []string{"BeforeInstall|whole|d-000000001|root"}, probes: []string{"null"}},
	},
	"055-script-location-traversal": {
		{outcome: "failed", failed: "DownloadBundle", code: "AppSpecInvalid"},
	},
	"063-sudo-drops-environment": {
		{outcome: "succeeded", trace: []string{"BeforeInstall|a|d-000000001|root"}},
	},
	"065-timeout-term-ignored": {
		{outcome: "failed", failed: "BeforeInstall", code: "ScriptTimedOut", trace: []string{"BeforeInstall|a|d-000000001|root", "survived"}},
	},
	"067-timeout-new-session-child-survives": {
		{outcome: "failed", failed: "BeforeInstall", code: "ScriptTimedOut", trace: []string{"BeforeInstall|a|d-000000001|root"}, probes: []string{"false"}},
	},
	"072-background-child-failing-script-holds-stdout": {
		{outcome: "failed", failed: "ApplicationStart", code: "ScriptFailed", trace: []string{"ApplicationStart|a|d-000000001|root"}, probes: []string{"false"}},
	},
	"076-output-long-line-empties-log": {
		{outcome: "failed", failed: "BeforeInstall", code: "ScriptFailed"},
	},
	"079-output-not-utf8-failing-script": {
		{outcome: "failed", failed: "BeforeInstall", code: "ScriptFailed"},
	},
	"080-output-not-utf8-at-line-end": {
		{outcome: "succeeded", trace: []string{"BeforeInstall|a|d-000000001|root", "BeforeInstall|b|d-000000001|root"}},
	},
	"090-install-tilde-destination": {
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused"},
	},
	"094-install-source-traversal": {
		{outcome: "failed", failed: "DownloadBundle", code: "AppSpecInvalid"},
	},
	"095-install-duplicate-destination": {
		{outcome: "succeeded", tree: []string{"./", "old.txt"}},
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused", tree: []string{"./", "old.txt"}},
	},
	"101-install-name-with-newline": {
		{outcome: "succeeded", tree: []string{"./", "a.txt", "x", "x\nvictim.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt", "x"}, probes: []string{"true"}},
	},
	"102-install-name-with-trailing-space": {
		{outcome: "succeeded", tree: []string{"./", " head", "mid dle", "tail "}},
		{outcome: "succeeded", tree: []string{"./", "n.txt"}},
	},
	"110-existing-directory-for-file-overwrite": {
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused", tree: []string{"./", "thing/", "thing/inside.txt"}},
		{outcome: "succeeded", tree: []string{"./", "b.txt", "thing/", "thing/inside.txt"}},
	},
	"113-existing-symlink-to-file-overwrite": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, probes: []string{`"real\n"`}},
		{outcome: "succeeded", tree: []string{"./", "a.txt -> {{ROOT}}/outside/real.txt", "b.txt"}, probes: []string{`"real\n"`}},
	},
	"114-existing-dangling-symlink-disallow": {
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused", tree: []string{"./", "a.txt -> {{ROOT}}/outside.txt"}, probes: []string{"null"}},
	},
	"124-cleanup-directory-replaced-by-link": {
		{outcome: "succeeded", tree: []string{"./", "d/", "d/a"}},
		{outcome: "succeeded", tree: []string{"./", "c"}, probes: []string{`[{"path":".","type":"dir","mode":"0755","owner":"root","group":"root"},{"path":"a","type":"file","mode":"0644","owner":"root","group":"root","size":9,"sha256":"a37214679d4cdc0b4724e05883a60eb979d19dd3a394438f17ef85846fadcee0"},{"path":"b","type":"file","mode":"0644","owner":"root","group":"root","size":2,"sha256":"0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f"}]`}},
	},
	"126-cleanup-previous-files-lost-on-refusal": {
		{outcome: "succeeded", tree: []string{"./", "a.txt", "b/", "b/c.txt"}},
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused", tree: []string{"./", "a.txt", "b/", "b/c.txt", "new.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt", "b/", "b/c.txt", "new.txt"}},
	},
	"127-cleanup-link-clash-deletes-foreign-file": {
		{outcome: "succeeded", tree: []string{"./", ".keep", "l -> b.txt"}},
		{outcome: "succeeded", tree: []string{"./", "c.txt", "l"}},
	},
	"131-agent-killed-while-copying": {
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused", tree: []string{"./", "z.pipe fifo"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
	},
	"134-link-loop-in-bundle": {
		{outcome: "failed", failed: "DownloadBundle", code: "InstallRefused"},
	},
	"137-pipe-in-bundle": {
		{outcome: "failed", failed: "DownloadBundle", code: "RevisionInvalid"},
	},
	"152-permissions-numeric-owner": {
		{outcome: "succeeded", tree: []string{"./", "a.txt 0600"}},
	},
	"153-permissions-setuid-lost-by-chown": {
		{outcome: "succeeded", tree: []string{"./", "a.sh 4755", "b.sh 4755"}},
	},
	"154-permissions-unquoted-leading-zero": {
		{outcome: "succeeded", tree: []string{"./", "a.txt", "b.txt"}},
	},
	"155-permissions-on-a-link": {
		{outcome: "succeeded", tree: []string{"./", "a.txt", "l -> {{ROOT}}/outside.txt"}, probes: []string{`[{"path":".","type":"file","mode":"0644","owner":"root","group":"root","size":2,"sha256":"7427d152005f9ed0fa31c76ef9963cf4bb47dce6e2768111d9eb0edbfe59c704"}]`}},
	},
	"157-acl-in-local-tool": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, trace: []string{"AfterInstall|h|d-000000001|root"}},
	},
	"162-acl-several-files": {
		{outcome: "succeeded", tree: []string{"./", "f 0600", "g"}},
	},
	"164-acl-path-with-space": {
		{outcome: "succeeded", tree: []string{"./", "a b.txt"}},
	},
	"166-context-without-range": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, trace: []string{"semanage fcontext -a -t httpd_t {{ROOT}}/dest/a.txt", "restorecon -v {{ROOT}}/dest/a.txt"}},
	},
	"179-bundle-zip-parent-member-fallback": {
		{outcome: "failed", failed: "DownloadBundle", code: "RevisionInvalid", probes: []string{"null"}},
	},
	"183-appspec-yaml-extension": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, trace: []string{"AfterInstall|a|d-000000001|root"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
	},
	"186-appspec-custom-name-next-default": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, trace: []string{"ApplicationStop|stop-v1|d-000000002|root"}},
	},
	"194-retention-group-with-space": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}},
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, probes: []string{"true", "false"}},
	},
	"200-runas-with-shell-characters": {
		{outcome: "failed", failed: "DownloadBundle", code: "AppSpecInvalid", probes: []string{"false"}},
	},
	"205-group-id-traversal": {
		{outcome: "succeeded", tree: []string{"./", "a.txt"}, probes: []string{"false"}},
	},
	"206-install-source-number": {
		{outcome: "failed", failed: "DownloadBundle", code: "AppSpecInvalid"},
	},
}
