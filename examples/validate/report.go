package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cutover-deploy/cutover/appspec"
)

// writeText writes a line for each problem, and one for each file.
func writeText(out io.Writer, results []result, lines bool) error {
	w := bufio.NewWriter(out)
	for _, r := range results {
		for _, p := range r.problems {
			fmt.Fprintln(w, p.Error())
			if lines {
				fmt.Fprint(w, p.Excerpt(r.data))
			}
		}
		platform := string(r.platform)
		if platform == "" {
			platform = "unknown platform"
		}
		verdict := "ok"
		if r.failed() {
			verdict = "refused"
		}
		fmt.Fprintf(w, "%s: %s, %s, %d errors, %d warnings\n", r.file, verdict, platform, r.count(appspec.Error), r.count(appspec.Warning))
	}
	return w.Flush()
}

// writeJSON writes one object a line.
func writeJSON(out io.Writer, results []result) error {
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range results {
		line := struct {
			File     string             `json:"file"`
			Platform string             `json:"platform"` // also of broken files; "unknown": nothing says so
			Verdict  string             `json:"verdict"`
			Result   any                `json:"result"`
			Problems []*appspec.Problem `json:"problems"`
		}{File: r.file, Platform: string(r.platform), Verdict: "accept", Problems: r.problems}
		if r.platform == "" {
			line.Platform = "unknown"
		}
		if r.failed() {
			line.Verdict = "reject"
		}
		if r.spec != nil {
			line.Result = normal(r.spec)
		}
		if line.Problems == nil {
			line.Problems = []*appspec.Problem{}
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// writeSARIF writes the static analysis format that code scanners read.
func writeSARIF(out io.Writer, results []result) error {
	findings, rules := list{}, list{}
	var known []appspec.Code
	for _, r := range results {
		for _, p := range r.problems {
			if !slices.Contains(known, p.Code) {
				known = append(known, p.Code)
			}
			findings = append(findings, finding(r, p))
		}
	}
	slices.Sort(known)
	for _, c := range known {
		rules = append(rules, object{"id": c, "name": c})
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json",
		"version": "2.1.0",
		"runs": list{object{
			"tool":       object{"driver": object{"name": "cutover-validate", "rules": rules}},
			"columnKind": "unicodeCodePoints",
			"results":    findings,
		}},
	})
}

func finding(r result, p *appspec.Problem) object {
	place := object{"artifactLocation": object{"uri": filepath.ToSlash(r.file)}}
	if p.Line > 0 {
		region := object{"startLine": p.Line}
		if p.Col > 0 {
			region["startColumn"] = p.Col
		}
		place["region"] = region
	}
	bare := *p
	bare.File, bare.Line, bare.Col = "", 0, 0 // the location says it
	text := strings.TrimPrefix(bare.Error(), string(p.Severity)+": ")
	return object{"ruleId": p.Code, "level": p.Severity, "message": object{"text": text},
		"locations": list{object{"physicalLocation": place}}}
}
