package conninfo

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// systemServices are where distributions keep the service file of the whole
// machine.
var systemServices = []string{"/etc/postgresql-common/pg_service.conf", "/etc/sysconfig/pgsql/pg_service.conf"}

// withService adds the parameters of the service that params or the
// environment name. Child processes then need no service file: in a container
// they would not find it.
func withService(params map[string]string) (map[string]string, error) {
	name := cmp.Or(params["service"], os.Getenv("PGSERVICE"))
	if name == "" {
		return params, nil
	}
	own := os.Getenv("PGSERVICEFILE")
	if home, err := os.UserHomeDir(); own == "" && err == nil {
		own = filepath.Join(home, ".pg_service.conf")
	}
	files := append([]string{own}, systemServices...)
	if dir := os.Getenv("PGSYSCONFDIR"); dir != "" {
		files = []string{own, filepath.Join(dir, "pg_service.conf")}
	}
	for _, file := range files {
		service, err := readService(file, name)
		if err != nil {
			return nil, err
		}
		if service != nil {
			maps.Copy(service, params)
			delete(service, "service")
			if os.Getenv("PGSERVICE") != "" { // pgx will look as well
				service["service"], service["servicefile"] = name, file
			}
			return service, nil
		}
	}
	return nil, fmt.Errorf("service %q is in none of the service files: %s", name, strings.Join(files, ", "))
}

// readService reads a section of a service file. The result is nil if there is
// no such section, or no such file.
func readService(file, name string) (map[string]string, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the service file: %w", err)
	}
	defer f.Close()
	var params map[string]string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			if params != nil {
				return params, nil
			}
			if line == "["+name+"]" {
				params = map[string]string{}
			}
		case params != nil:
			key, value, found := strings.Cut(line, "=")
			if !found || key == "service" || !known[key] {
				return nil, fmt.Errorf("line %d of the service file %s is no parameter of libpq", n, file)
			}
			if _, twice := params[key]; !twice {
				params[key] = value
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the service file: %w", err)
	}
	return params, nil
}
