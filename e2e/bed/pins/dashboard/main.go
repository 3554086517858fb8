// dashboard checks a Grafana dashboard: strictly against the types that Grafana generates from its own schema, and what
// no schema says. Prints its expressions as a file of rules, for promtool.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// The variables that Grafana itself has, where we use them.
var own = map[string]string{"__rate_interval": "5m"}

var variable = regexp.MustCompile(`\$(\w+|\{\w+\})`)

var wrong []string

func say(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	plugins.RegisterDefaultPlugins()
	if err := new(dashboard.Dashboard).UnmarshalJSONStrict(raw); !empty(err) {
		say("%v", err)
	}
	report()
	// Read once more, since the strict reading keeps no panels.
	var board dashboard.Dashboard
	if err := json.Unmarshal(raw, &board); err != nil {
		panic(err)
	}
	if err := board.Validate(); !empty(err) {
		say("%v", err)
	}
	if board.Uid == nil || board.Title == nil || *board.Uid == "" || *board.Title == "" {
		say("uid or title is missing")
	}

	known := map[string]string{}
	for _, v := range board.Templating.List {
		switch v.Type {
		case dashboard.VariableTypeDatasource:
		case dashboard.VariableTypeQuery:
			byVariable("variable "+v.Name, v.Datasource)
		default:
			say("variable %s: of type %s", v.Name, v.Type)
		}
		if known[v.Name] != "" {
			say("variable %s: twice", v.Name)
		}
		known[v.Name] = ".*"
	}
	// Also in what is no expression: titles, legends, data sources.
	for _, used := range variable.FindAllStringSubmatch(string(raw), -1) {
		name := strings.Trim(used[1], "{}")
		if known[name] == "" && own[name] == "" && name != "__all" {
			say("variable %s: not defined", name)
		}
	}

	var rules strings.Builder
	taken := map[[2]uint32]uint32{}
	ids := map[uint32]bool{}
	for _, one := range board.Panels {
		if one.Panel == nil {
			continue
		}
		panel := one.Panel
		// Of a type that nobody knows the options are not looked at.
		if _, is := cog.ConfigForPanelcfgVariant(panel.Type); !is {
			say("a panel of type %s, which Grafana does not have", panel.Type)
		}
		if panel.Id == nil || panel.GridPos == nil || panel.Title == nil {
			say("a panel without id, gridPos or title")
			continue
		}
		id, at := *panel.Id, *panel.GridPos
		if ids[id] {
			say("panel %d: id twice", id)
		}
		ids[id] = true
		if at.W == 0 || at.H == 0 || at.X+at.W > 24 {
			say("panel %d: not within 24 columns: %+v", id, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if there, is := taken[[2]uint32{x, y}]; is && there != id {
					say("panel %d: lies on %d at %d,%d", id, there, x, y)
				}
				taken[[2]uint32{x, y}] = id
			}
		}
		byVariable(fmt.Sprintf("panel %d", id), panel.Datasource)
		refs := map[string]bool{}
		for _, target := range panel.Targets {
			query, is := target.(*prometheus.Dataquery)
			if !is || query.RefId == nil {
				say("panel %d: a target without refId, or a %T", id, target)
				continue
			}
			ref := *query.RefId
			if refs[ref] || ref == "" {
				say("panel %d: refId %q twice or empty", id, ref)
			}
			refs[ref] = true
			byVariable(fmt.Sprintf("panel %d, %s", id, ref), query.Datasource)
			expr := variable.ReplaceAllStringFunc(query.Expr, func(used string) string {
				name := strings.Trim(used, "${}")
				if own[name] != "" {
					return own[name]
				}
				return known[name]
			})
			quoted, _ := json.Marshal(expr)
			fmt.Fprintf(&rules, "      - { record: 'panel:%d:%s', expr: %s }\n", id, ref, quoted)
		}
		if len(panel.Targets) == 0 {
			say("panel %d: asks nothing", id)
		}
	}
	if len(ids) == 0 {
		say("no panel")
	}
	report()
	fmt.Printf("groups:\n  - name: dashboard\n    rules:\n%s", rules.String())
}

// report: ends the program where anything is wrong.
func report() {
	if len(wrong) > 0 {
		fmt.Fprintln(os.Stderr, strings.Join(wrong, "\n"))
		os.Exit(1)
	}
}

// empty: the SDK's errors are lists, and one without a member is not nil.
func empty(err error) bool {
	errs, is := err.(cog.BuildErrors)
	return err == nil || is && len(errs) == 0
}

// byVariable: whoever imports it chooses the data source.
func byVariable(where string, source any) {
	text, _ := json.Marshal(source)
	if !strings.Contains(string(text), `"uid":"${datasource}"`) {
		say("%s: its data source is %s and no variable", where, text)
	}
}
