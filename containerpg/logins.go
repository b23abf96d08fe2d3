package containerpg

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// logins lists what to try, passwords of this program's user first.
func (v *visit) logins(ctx context.Context, addresses []address) ([]login, error) {
	if v.known != nil {
		return []login{*v.known}, nil
	}
	if v.accounts == nil || len(v.unread) > 0 {
		v.unread = nil
		v.accounts = accounts(v.lookupEnv(ctx))
	}
	users := []string{v.sel.User}
	if v.sel.User == "" {
		users = nil
		for _, account := range v.accounts {
			users = append(users, account.user)
		}
	}
	// A password file may know the server by the container's name, by its
	// address, or by the port it publishes.
	hosts := []hostPort{{v.box.name, v.box.serverPort()}}
	for _, a := range addresses {
		hosts = append(hosts, hostPort{a.name(v.box), a.port})
		if a.host == "127.0.0.1" || a.host == "::1" {
			hosts = append(hosts, hostPort{"localhost", a.port})
		}
	}
	var own []login
	for _, user := range slices.Compact(users) {
		if v.sel.Password != "" {
			own = append(own, login{user: user, password: v.sel.Password, source: "the password that was given"})
		}
		list, err := ownPasswords(user, v.database(user), hosts)
		if err != nil {
			return nil, err
		}
		own = append(own, list...)
	}
	return logins(v.sel, v.accounts, own), nil
}

// database is the one a password file is asked about.
func (v *visit) database(user string) string {
	if v.sel.Database != "" {
		return v.sel.Database
	}
	for _, account := range v.accounts {
		if account.user == user && account.database != "" {
			return account.database
		}
	}
	return "postgres"
}

// denied is the error for a server that took none of the logins.
func (v *visit) denied(err error, logins []login) error {
	e := &AuthError{Name: v.box.name, Err: err, Unread: v.unread}
	for _, l := range logins {
		e.User = l.user
		if l.password != "" && !slices.Contains(e.Tried, l.source) {
			e.Tried = append(e.Tried, l.source)
		}
	}
	return e
}

// notPostgres is the error for a container that does not run a server now,
// unless it has stopped while it was looked at.
func (v *visit) notPostgres(ctx context.Context) error {
	if err := v.refresh(ctx); err != nil {
		return err
	}
	return &NotPostgresError{Name: v.box.name, Command: v.box.commandLine()}
}

// lookupEnv answers a function that reads a variable of the container, or the
// file that the variable with _FILE added names. A file is read once. That it
// cannot be read is noted: another source may do, and if none does the user is told.
func (v *visit) lookupEnv(ctx context.Context) func(name string) (value, source string) {
	files := map[string]string{}
	return func(name string) (string, string) {
		if value := v.box.env[name]; value != "" {
			return value, name
		}
		source := name + "_FILE"
		file := v.box.env[source]
		if file == "" {
			return "", ""
		}
		value, read := files[file]
		if !read {
			data, err := v.e.readFile(ctx, v.box.id, file)
			if err != nil {
				v.unread = append(v.unread, fmt.Sprintf("%s: %v", source, err))
			}
			value = strings.TrimRight(string(data), "\r\n")
			files[file] = value
		}
		return value, source
	}
}
