// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// program is one that a container runs, as far as its command lines show it.
type program struct {
	// name without folders.
	name string
	// args that are known; what a shell makes up at run time is "".
	args []string
	// path of the word that runs it, or that holds the script which does, from the root of the Pod.
	path string
}

// findProgram reports the first program in each word of a container's command lines that matches. names are those that
// can match, so that scripts without any of them need not be parsed.
func findProgram(pod *audit.Pod, r *audit.Reporter, names []string, match func(program) bool, message func(audit.Container, program) string) {
	for c := range pod.Containers() {
		if !mentions(c, names) {
			continue
		}
		var found []string
		for p := range programs(c, names) {
			if match(p) && !slices.Contains(found, p.path) {
				found = append(found, p.path)
				r.Find(audit.Finding{Message: message(c, p), Container: c.Name, Path: p.path})
			}
		}
	}
}

// mentions says whether any of the names is anywhere in a container's command lines. In nearly all of them none is.
func mentions(c audit.Container, names []string) bool {
	for _, texts := range c.CommandLines() {
		for _, text := range texts {
			for _, name := range names {
				if strings.Contains(text, name) {
					return true
				}
			}
		}
	}
	return false
}

// word of a command line, and where it stands.
type word struct{ text, path string }

// programs returns what a container runs: as its own process, and in probes and hooks; in scripts for a shell as well. What
// an image's own entrypoint runs is not known.
func programs(c audit.Container, names []string) iter.Seq[program] {
	return func(yield func(program) bool) {
		w := walker{names: names, yield: yield}
		var line []word // command and args are one line
		for field, texts := range c.CommandLines() {
			next := words(c, field, texts)
			switch field {
			case audit.FieldCommand:
				line = next
			case audit.FieldArgs:
				line = append(line, next...)
			default:
				w.run(next, 0)
			}
		}
		w.run(line, 0)
	}
}

func words(c audit.Container, field string, texts []string) []word {
	list := make([]word, len(texts))
	for i, text := range texts {
		list[i] = word{text, c.Path(fmt.Sprintf("%s[%d]", field, i))}
	}
	return list
}

type walker struct {
	names []string
	yield func(program) bool
	done  bool
}

// maxScripts is how deep scripts in scripts are followed. People write two.
const maxScripts = 4

// run looks at a command line, and at the ones that it runs in turn.
func (w *walker) run(line []word, depth int) {
	if len(line) == 0 || w.done || depth > maxScripts {
		return
	}
	name := path.Base(line[0].text)
	if strings.HasPrefix(line[0].text, "-") { // arguments of an entrypoint that is not known; it may be a shell
		name = "sh"
		line = append([]word{{}}, line...)
	} else {
		p := program{name: name, path: line[0].path}
		for _, arg := range line[1:] {
			p.args = append(p.args, arg.text)
		}
		if !w.yield(p) {
			w.done = true
			return
		}
	}
	if shells[name] {
		if script, ok := scriptOf(line[1:]); ok {
			w.script(script, depth+1)
		}
	} else if wrapper, ok := wrappers[name]; ok {
		w.run(wrapper.rest(line[1:]), depth+1)
	}
}

// shells run what follows the option -c.
var shells = map[string]bool{"sh": true, "bash": true, "ash": true, "dash": true, "ksh": true, "zsh": true}

// scriptOf returns the script among a shell's arguments.
func scriptOf(args []word) (script word, ok bool) {
	for i := 0; i < len(args); i++ {
		arg := args[i].text
		switch {
		case strings.HasPrefix(arg, "--"):
		case len(arg) > 1 && (arg[0] == '-' || arg[0] == '+'):
			ok = ok || strings.Contains(arg, "c")
			if strings.HasSuffix(arg, "o") { // -o pipefail
				i++
			}
		default:
			return args[i], ok
		}
	}
	return word{}, false
}

// script looks at the command lines in a script. What is no shell's language runs up to there, if at all.
func (w *walker) script(script word, depth int) {
	if !slices.ContainsFunc(w.names, func(name string) bool { return strings.Contains(script.text, name) }) {
		return
	}
	parser := syntax.NewParser(syntax.Variant(syntax.LangBash))
	file, _ := parser.Parse(strings.NewReader(script.text), "") // the file has what comes before the error
	if file == nil {
		return
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			line := make([]word, len(call.Args))
			for i, arg := range call.Args {
				line[i] = word{literal(arg), script.path}
			}
			w.run(line, depth)
		}
		return !w.done
	})
}

// literal returns what a word of a script is if that does not depend on anything, or "".
func literal(w *syntax.Word) string {
	var text strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text.WriteString(p.Value)
		case *syntax.SglQuoted:
			text.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				lit, ok := inner.(*syntax.Lit)
				if !ok {
					return ""
				}
				text.WriteString(lit.Value)
			}
		default:
			return ""
		}
	}
	return text.String()
}

// wrapper is a program that runs the one in its arguments.
type wrapper struct {
	// valued are its one-letter options that the next argument belongs to.
	valued string
	// operands are how many arguments of its own it takes before the program.
	operands int
}

var wrappers = map[string]wrapper{
	"busybox": {}, "catatonit": {}, "chroot": {operands: 1}, "command": {}, "dumb-init": {}, "env": {valued: "uCS"}, "exec": {valued: "a"},
	"gosu": {operands: 1}, "ionice": {valued: "cn"}, "nice": {valued: "n"}, "nohup": {}, "nsenter": {valued: "tSG"}, "setsid": {},
	"stdbuf": {valued: "ioe"}, "su-exec": {operands: 1}, "sudo": {valued: "ughpCTDR"}, "time": {valued: "fo"},
	"timeout": {valued: "ks", operands: 1}, "tini": {valued: "pe"}, "xargs": {valued: "nILPdsaE"},
}

// rest returns the command line among a wrapper's arguments.
func (w wrapper) rest(args []word) []word {
	operands := w.operands
	for i := 0; i < len(args); i++ {
		arg := args[i].text
		switch {
		case arg == "--":
		case arg == "-v" || arg == "-V": // command -v only looks a program up
			return nil
		case len(arg) > 1 && arg[0] == '-':
			if len(arg) == 2 && strings.Contains(w.valued, arg[1:]) {
				i++
			}
		case strings.Contains(arg, "="): // env NAME=value
		case operands > 0:
			operands--
		default:
			return args[i:]
		}
	}
	return nil
}
