package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

const (
	// pingMicros is what a ping and its answer cost the node, and pingSeconds how
	// often an idle connection gets one by default.
	pingMicros  = 15
	pingSeconds = 60

	// leastMappings is the kernel's default.
	leastMappings = 65_530
)

// processors looks at the number of reactors and at what idle connections cost.
func (e *examination) processors() {
	cores := float64(e.wanted.Connections) / pingSeconds * pingMicros / 1e6
	e.judge(e.wanted.Reactors <= e.host.CPUs && cores <= float64(e.host.CPUs)/2, Warning, Finding{
		Check: "CPUs", Is: fmt.Sprintf("%d, for %d reactors", e.host.CPUs, e.wanted.Reactors),
		Want: fmt.Sprintf("no more reactors than CPUs, and %.0f or more CPUs", max(2*cores+0.5, 1)),
		Why:  fmt.Sprintf("the pings of idle connections alone keep %.2f of a core busy; reactors that share a CPU wait for each other", cores),
		Fix:  "--workers 0, which is one for each CPU, or more CPUs",
	})
}

// hugePages looks whether the kernel joins pages by itself.
func (e *examination) hugePages() {
	const file = "sys/kernel/mm/transparent_hugepage/enabled"
	word, err := e.word(file)
	f := Finding{
		Check: "transparent huge pages", Is: word, Want: "madvise or never",
		Why: "always makes the kernel fill memory that the node has given back",
		Fix: "echo madvise > /" + file + " (for good: transparent_hugepage=madvise on the kernel's command line)",
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Is = "not built in"
		e.judge(true, OK, f)
	case err != nil:
		e.unreadable("transparent huge pages", err)
	default:
		e.judge(!strings.Contains(word, "[always]"), Warning, f)
	}
}

// overcommit looks whether the kernel counts memory that is only reserved.
func (e *examination) overcommit() {
	const name = "vm.overcommit_memory"
	v, ok := e.setting(name, 1)
	if !ok {
		return
	}
	e.judge(v[0] != 2, Warning, Finding{
		Check: name, Is: fmt.Sprint(v[0]), Want: "0 or 1",
		Why: "2 refuses memory that would never be touched, of which a Go program has much; being refused ends the node",
		Fix: sysctl(name, 0),
	})
}

// mappings looks at how many mappings a process may have.
func (e *examination) mappings() {
	const name = "vm.max_map_count"
	v, ok := e.setting(name, 1)
	if !ok {
		return
	}
	e.judge(v[0] >= leastMappings, Warning, Finding{
		Check: name, Is: group(v[0]), Want: group(leastMappings) + " or more",
		Why: "a large heap has many mappings", Fix: sysctl(name, leastMappings),
	})
}

// clock looks whether the time is right.
func (e *examination) clock() {
	is := "synchronized"
	if !e.host.Synchronized {
		is = "not synchronized"
	}
	e.judge(e.host.Synchronized, Warning, Finding{
		Check: "clock", Is: is, Want: "synchronized",
		Why: "signed requests are refused when the clocks of application and node are 600 seconds apart",
		Fix: "timedatectl set-ntp true, or chrony",
	})
}

// slowSources are clock sources that take a system call, or more, for each reading.
var slowSources = []string{"hpet", "acpi_pm", "jiffies", "refined-jiffies"}

// clockSource looks what reading the time costs.
func (e *examination) clockSource() {
	const file = "sys/devices/system/clocksource/clocksource0/current_clocksource"
	source, err := e.word(file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			e.unreadable("clock source", err)
		}
		return
	}
	slow := false
	for _, s := range slowSources {
		slow = slow || s == source
	}
	e.judge(!slow, Warning, Finding{
		Check: "clock source", Is: source, Want: "tsc, or that of the hypervisor",
		Why: "others take a system call for each reading, and the node reads the time often",
		Fix: "clocksource=tsc on the kernel's command line, if the machine's tsc is stable",
	})
}
