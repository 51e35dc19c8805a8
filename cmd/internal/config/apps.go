package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// apps reads `apps.apps` and the app that the environment describes. The flag
// says that no credentials were found and one app was given generated ones.
func (l *loader) apps() (apps []App, development bool) {
	trees := l.appTrees()
	names := l.credentialNames()
	mine := 0
	if len(trees) == 0 {
		trees = []map[string]any{nil}
	} else {
		mine, names = l.chooseApp(trees, names)
	}

	apps = make([]App, len(trees))
	for i, tree := range trees {
		in := section{tree: tree, path: appPath(i), prefix: appPrefix}
		appSchema().inspect(tree, in.path, l.report)
		if i == mine {
			in.env, in.rename = l.env, names
		}
		resolve(l, appKeys, in, &apps[i])
		apps[i].Webhooks = l.webhooks(tree, in.path)
		missing := l.missingCredentials(in)
		if len(trees) == 1 && len(missing) == len(credentials) {
			l.generate(&apps[i], in.path)
			return apps, true
		}
		l.reportMissing(missing, in)
	}
	return apps, false
}

// appPath is the path of an app with its last dot.
func appPath(i int) string { return fmt.Sprintf("apps.apps[%d].", i) }

// appTrees returns the apps of the file. A PHP array with string keys is taken
// in the order of its keys.
//
// Reverb: ConfigApplicationProvider looks through the values and ignores keys.
func (l *loader) appTrees() []map[string]any {
	value, _ := lookup(l.file.tree, "apps.apps")
	var items []any
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		items = value
	case map[string]any:
		if slices.ContainsFunc(credentials, func(name string) bool { _, has := value[name]; return has }) {
			l.report.fail("%s: apps.apps: one app where a list of apps belongs", l.file.name)
			return nil
		}
		items = mapItems(value)
	default:
		l.report.fail("%s: apps.apps: not a list of apps", l.file.name)
		return nil
	}

	trees := make([]map[string]any, 0, len(items))
	for i, item := range items {
		tree, isMap := item.(map[string]any)
		if !isMap {
			l.report.fail("%s: apps.apps[%d]: not a map with the keys of an app", l.file.name, i)
		}
		trees = append(trees, tree)
	}
	return trees
}

// mapItems returns the values of a PHP array: numeric keys first, by number.
func mapItems(array map[string]any) []any {
	names := numericKeys(array)
	for _, name := range slices.Sorted(maps.Keys(array)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	items := make([]any, len(names))
	for i, name := range names {
		items[i] = array[name]
	}
	return items
}

// credentialNames returns the set of variables that the credentials are taken
// from: Reverb's if one of them has a value, else the first alias whose three
// have one, else the first that has any. Names of two sets are never mixed: a
// key of one service does not belong to the secret of another.
func (l *loader) credentialNames() map[string]string {
	reverb := credentialNames[0]
	if l.valuesIn(reverb) > 0 {
		return reverb
	}
	for least := len(credentials); least > 0; least-- {
		for _, names := range credentialNames[1:] {
			if l.valuesIn(names) >= least {
				return names
			}
		}
	}
	return reverb
}

// valuesIn counts the credentials that a set of variables has values for.
func (l *loader) valuesIn(names map[string]string) int {
	n := 0
	for name := range maps.Values(names) {
		if l.env.hasValue(name) {
			n++
		}
	}
	return n
}

// chooseApp returns which app of the file the environment describes, or -1,
// and the variables for its credentials.
//
// An alias may be left over from another service, so it overrides only an app
// that has its id or no credentials at all.
func (l *loader) chooseApp(trees []map[string]any, names map[string]string) (int, map[string]string) {
	reverb := credentialNames[0]
	id, _ := l.env.lookup(names["app_id"])
	for i, tree := range trees {
		if written := l.fileID(tree, i); written != "" && written == id.value {
			return i, names
		}
	}
	isAlias := names["app_id"] != reverb["app_id"]
	if isAlias && (len(trees) > 1 || hasCredentials(trees[0])) {
		l.report.warn(names["app_id"], "is ignored, and so are the key and secret beside it: no app of "+l.file.name+" has this id")
		names = reverb
	}
	if len(trees) == 1 {
		return 0, names
	}
	if set := l.appVariables(); len(set) > 0 {
		l.report.warn(strings.Join(set, ", "), fmt.Sprintf(
			"ignored: %s has %d apps and REVERB_APP_ID does not name one of them", l.file.name, len(trees)))
	}
	return -1, names
}

// fileID returns the id of app i as it is written in the file.
func (l *loader) fileID(tree map[string]any, i int) string {
	id, _ := l.text(tree["app_id"], appPath(i)+"app_id").(string)
	return strings.TrimSpace(id)
}

// hasCredentials reports whether the file gives an app any credential.
func hasCredentials(tree map[string]any) bool {
	return slices.ContainsFunc(credentials, func(name string) bool {
		return !isBlank(tree[name])
	})
}

// appVariables returns the variables that describe an app and have a value.
func (l *loader) appVariables() []string {
	var set []string
	for _, k := range appKeys {
		if name := k.envName(appPrefix); l.env.hasValue(name) {
			set = append(set, name)
		}
	}
	return set
}

// missingCredentials returns the credentials that no origin has for an app.
func (l *loader) missingCredentials(in section) []spec {
	var missing []spec
	for _, k := range appKeys {
		if k.required && isBlank(l.find(k.spec, in).value) {
			missing = append(missing, k.spec)
		}
	}
	return missing
}

// reportMissing reports credentials that an app does not have.
func (l *loader) reportMissing(missing []spec, in section) {
	for _, s := range missing {
		where := "set it in " + l.file.name
		if name, fromEnv := in.rename[s.path]; fromEnv {
			where = "set " + name
		}
		l.report.fail("%s%s: missing: an app needs app_id, key and secret; %s", in.path, s.path, where)
	}
}
