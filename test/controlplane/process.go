// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// logTailLines is how much of a log goes into an error.
const logTailLines = 30

// Process is a program that runs beside the API server.
type Process struct {
	// Log is the path of the file that has its output.
	Log string

	name  string
	cmd   *exec.Cmd
	guard *guard
	done  chan struct{}
}

// Run starts a program in a process group of its own, so that a Ctrl-C in a terminal reaches only the caller, who then
// decides on the order in which things stop. The control plane's Stop ends it, if nobody has before.
func (c *ControlPlane) Run(name, path string, args ...string) (*Process, error) {
	p := &Process{Log: c.logPath(name), name: name, guard: c.guard, done: make(chan struct{})}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }()  // the program has its own
	p.cmd = exec.Command(path, args...) //nolint:gosec // running what tests and the demo ask for is its purpose
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is read from ProcessState
		close(p.done)
	}()
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	return p, c.guard.add(name, p.cmd.Process.Pid)
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Stop sends SIGTERM and returns the exit code. A program that is still there after the timeout is killed, which is an
// error. If it had already ended, Stop just returns its exit code (-1 if a signal ended it).
func (p *Process) Stop(timeout time.Duration) (int, error) {
	var err error
	select {
	case <-p.done:
	default:
		err = p.terminate(timeout)
	}
	p.guard.remove(p.name)
	return p.cmd.ProcessState.ExitCode(), err
}

func (p *Process) terminate(timeout time.Duration) error {
	// The whole group, for programs that are scripts. It can only fail if the program has ended meanwhile.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(timeout):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s did not end within %s of SIGTERM and was killed", p.name, timeout)
}

// Kill sends SIGKILL, as the kernel does where memory is short, and returns when the program has ended, which it may have before.
func (p *Process) Kill() {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it can only fail if the program has ended meanwhile
		<-p.done
	}
	p.guard.remove(p.name)
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// LogTail is the end of the program's output.
func (p *Process) LogTail() string { return tail(p.Log) }

// checkProcesses returns an error if a program has ended on its own.
func (c *ControlPlane) checkProcesses() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended with exit code %d", p.name, p.cmd.ProcessState.ExitCode())
		default:
		}
	}
	return nil
}

func (c *ControlPlane) startedLastFirst() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	processes := slices.Clone(c.processes)
	slices.Reverse(processes)
	return processes
}

func (c *ControlPlane) logPath(name string) string { return filepath.Join(c.Dir, name+".log") }

func (c *ControlPlane) logTail(name string) string { return tail(c.logPath(name)) }

func tail(path string) string {
	name := filepath.Base(path)
	content, err := os.ReadFile(path) //nolint:gosec // a log in the control plane's own directory
	if err != nil {
		return fmt.Sprintf("(no %s: %v)", name, err)
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if len(lines) > logTailLines {
		lines = lines[len(lines)-logTailLines:]
	}
	return "--- end of " + name + " ---\n" + strings.Join(lines, "\n")
}

// guard kills the control plane and removes its files if this process dies without calling Stop: a test that runs into
// its time limit, a panic, a SIGKILL. It is a shell that waits on a pipe of which only this process holds the other end.
type guard struct {
	dir   string // one file per process: NAME.pid
	cmd   *exec.Cmd
	pipe  io.WriteCloser
	files []io.Closer
}

const guardScript = `
read -r word && exit 0
for f in "$1"/*.pid; do kill -s KILL -- "-$(cat "$f")"; done 2>/dev/null
sleep 1
rm -rf "$2"
`

func startGuard(dir string) (*guard, error) {
	g := &guard{dir: filepath.Join(dir, "processes")}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating a directory: %w", err)
	}
	g.cmd = exec.Command("/bin/sh", "-c", guardScript, "kubersafe-controlplane-guard", g.dir, dir) //nolint:gosec // a constant script
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if g.pipe, err = g.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	if err := g.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard: %w", err)
	}
	return g, nil
}

func (g *guard) pidFile(name string) string { return filepath.Join(g.dir, name+".pid") }

func (g *guard) add(name string, pid int) error {
	if err := os.WriteFile(g.pidFile(name), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return fmt.Errorf("guarding %s: %w", name, err)
	}
	return nil
}

func (g *guard) remove(name string) { _ = os.Remove(g.pidFile(name)) }

// kill kills a program that envtest has started, and returns when it has ended.
func (g *guard) kill(name string) error {
	content, err := os.ReadFile(g.pidFile(name))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("reading the process id of %s: %w", name, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing %s: %w", name, err)
	}
	for syscall.Kill(pid, 0) == nil { // until envtest has waited for it
		time.Sleep(pollInterval)
	}
	return nil
}

// wrap returns a script that notes its process id and becomes the program: envtest does not tell the ids of what it starts.
// memory, if not "", is the memory that Go's runtime is to keep it within.
func (g *guard) wrap(name, program, memory string) (string, error) {
	limit := ""
	if memory != "" {
		limit = "export GOMEMLIMIT=" + quote(memory) + "\n"
	}
	script := fmt.Sprintf("#!/bin/sh\necho $$ > %s\n%sexec %s \"$@\"\n", quote(g.pidFile(name)), limit, quote(program))
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a script has to be executable
		return "", fmt.Errorf("guarding %s: %w", name, err)
	}
	return path, nil
}

// closeWith has a log closed when all has stopped.
func (g *guard) closeWith(file io.Closer) { g.files = append(g.files, file) }

// release ends the guard without it doing anything.
func (g *guard) release() error {
	var errs []error
	for _, file := range g.files {
		errs = append(errs, file.Close())
	}
	_, err := io.WriteString(g.pipe, "stopped\n")
	errs = append(errs, err, g.pipe.Close(), g.cmd.Wait())
	return errors.Join(errs...)
}

// quote makes one word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
