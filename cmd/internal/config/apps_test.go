package config_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"resound/cmd/internal/config"
)

// identities returns the credentials of all apps as one text.
func identities(c *config.Config) string {
	var all []string
	for _, a := range c.Apps {
		all = append(all, fmt.Sprintf("%s:%s:%s/%v", a.ID, a.Key, a.Secret, a.PingInterval))
	}
	return strings.Join(all, " ")
}

func TestApps(t *testing.T) {
	reverb := []string{"REVERB_APP_ID=1", "REVERB_APP_KEY=rk", "REVERB_APP_SECRET=rs"}
	pusher := []string{"PUSHER_APP_ID=2", "PUSHER_APP_KEY=pk", "PUSHER_APP_SECRET=ps"}
	soketi := []string{"SOKETI_DEFAULT_APP_ID=3", "SOKETI_DEFAULT_APP_KEY=sk", "SOKETI_DEFAULT_APP_SECRET=ss"}
	join := func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
	const oneInFile = "apps: {apps: [{app_id: f, key: fk, secret: fs, ping_interval: 7}]}"
	const twoInFile = "apps: {apps: [{app_id: '1', key: ak, secret: as}, {app_id: '2', key: bk, secret: bs}]}"

	tests := []struct {
		name  string
		setup setup
		want  string
		warns string // part of the only warning
	}{
		{"the environment defines the only app", setup{environ: join(reverb, []string{"REVERB_APP_PING_INTERVAL=9"})}, "1:rk:rs/9s", ""},
		{"reverb's names win over the aliases", setup{environ: join(soketi, pusher, reverb)}, "1:rk:rs/1m0s", ""},
		{"reverb's names in .env win over aliases in the environment", setup{environ: pusher, envFile: strings.Join(reverb, "\n")}, "1:rk:rs/1m0s", ""},
		{"pusher's names stand in", setup{environ: join(soketi, pusher)}, "2:pk:ps/1m0s", ""},
		{"soketi's names stand in", setup{environ: soketi}, "3:sk:ss/1m0s", ""},
		{"a complete alias wins over a partial one", setup{environ: join(soketi, []string{"PUSHER_APP_KEY=pk"})}, "3:sk:ss/1m0s", ""},
		{"empty variables are not set", setup{environ: join(pusher, []string{"REVERB_APP_ID=", "REVERB_APP_KEY=null"})}, "2:pk:ps/1m0s", ""},
		{"the file defines the app", setup{file: oneInFile}, "f:fk:fs/7s", ""},
		{"the environment overrides the only app of the file", setup{file: oneInFile, environ: reverb}, "1:rk:rs/7s", ""},
		{"the secret alone may come from the environment", setup{file: "apps: {apps: [{app_id: f, key: fk}]}", environ: []string{"REVERB_APP_SECRET=rs"}}, "f:fk:rs/1m0s", ""},
		{"a setting overrides the only app without credentials", setup{file: oneInFile, environ: []string{"REVERB_APP_PING_INTERVAL=9"}}, "f:fk:fs/9s", ""},
		{"an alias does not override an app with another id", setup{file: oneInFile, environ: pusher}, "f:fk:fs/7s", "PUSHER_APP_ID: is ignored"},
		{"an alias fills an app of the file without credentials", setup{file: "apps: {apps: [{app_id: null, ping_interval: 7}]}", environ: pusher}, "2:pk:ps/7s", ""},
		{"an alias overrides the app with its id", setup{file: twoInFile, environ: pusher}, "1:ak:as/1m0s 2:pk:ps/1m0s", ""},
		{"of several apps the one with the id is overridden", setup{file: twoInFile, environ: join(reverb, []string{"REVERB_APP_PING_INTERVAL=9"})}, "1:rk:rs/9s 2:bk:bs/1m0s", ""},
		{
			"of several apps none has the id",
			setup{file: twoInFile, environ: []string{"REVERB_APP_ID=9", "REVERB_APP_KEY=k", "REVERB_APP_SECRET=s"}},
			"1:ak:as/1m0s 2:bk:bs/1m0s",
			"REVERB_APP_ID, REVERB_APP_KEY, REVERB_APP_SECRET: ignored: conf.yaml has 2 apps",
		},
		{
			"a setting without an id means none of several apps",
			setup{file: twoInFile, environ: []string{"RESOUND_APP_CACHE_TTL=9"}},
			"1:ak:as/1m0s 2:bk:bs/1m0s", "RESOUND_APP_CACHE_TTL: ignored",
		},
		{
			"a PHP array with numeric keys is a list in their order",
			setup{file: `{"apps":{"apps":{"10":{"app_id":"b","key":"bk","secret":"s"},"2":{"app_id":"a","key":"ak","secret":"s"}}}}`},
			"a:ak:s/1m0s b:bk:s/1m0s", "",
		},
		{"an id without quotes keeps its digits", setup{file: "apps: {apps: [{app_id: 0123, key: 4_5, secret: 0x1F}]}"}, "0123:4_5:0x1F/1m0s", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, warnings, err := tt.setup.load(t)
			if err != nil {
				t.Fatal(err)
			}
			if got := identities(c); got != tt.want {
				t.Errorf("apps %s, want %s", got, tt.want)
			}
			if tt.warns == "" && len(warnings) > 0 || tt.warns != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].String(), tt.warns)) {
				t.Errorf("warnings %v, want %q", warnings, tt.warns)
			}
			if c.Development {
				t.Error("development, want configured credentials")
			}
		})
	}
}

func TestDevelopmentApp(t *testing.T) {
	tests := []struct {
		name  string
		setup setup
	}{
		{"nothing at all", setup{}},
		{"an app dumped without credentials", setup{file: `{"apps":{"apps":[{"app_id":null,"key":null,"secret":null,"ping_interval":60}]}}`}},
		{"an empty list of apps", setup{file: `{"apps":{"apps":[]}}`}},
		{"an empty .env template", setup{envFile: "REVERB_APP_ID=\nREVERB_APP_KEY=\nREVERB_APP_SECRET=\n"}},
	}
	shape := regexp.MustCompile(`^[1-9][0-9]{5}:[a-z0-9]{20}:[a-z0-9]{20}/1m0s$`)
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.setup.mustLoad(t)
			got := identities(c)
			if !c.Development || !shape.MatchString(got) || seen[got] {
				t.Errorf("development %v, apps %s", c.Development, got)
			}
			seen[got] = true
			if origin := c.Origin("apps.apps[0].secret"); origin != "generated" {
				t.Errorf("origin %q, want generated", origin)
			}
		})
	}
}

func TestDevelopmentAppKeepsSettings(t *testing.T) {
	c := setup{environ: []string{"REVERB_APP_PING_INTERVAL=9"}}.mustLoad(t)
	if !c.Development || c.Apps[0].PingInterval.Seconds() != 9 {
		t.Errorf("config %+v", c)
	}
}
