package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgberth/pgberth/containerpg"
	"github.com/pgberth/pgberth/internal/human"
	"github.com/pgberth/pgberth/progress"
)

const locateLong = `locate lists the running Postgres containers: what runs in them, how they are
reached from here and why so, and their databases. Passwords are used, never
shown.

NAME is a container's name, an ID prefix, a Compose service, or :PORT for the
container that publishes that port; docker://NAME is the same. The exit status
is 10 if there is no such container, or none at all, and 1 if the one that was
named cannot be used.`

func newLocateCommand(c *cli) *cobra.Command {
	var project string
	cmd := &cobra.Command{
		Use:   "locate [NAME]",
		Short: "List the Postgres containers and how they are reached",
		Long:  locateLong,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, errors.New("locate takes one name at most"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			selector := containerpg.Selector{Project: project}
			if len(args) == 1 {
				var err error
				if selector, err = parseContainer(args[0], project); err != nil {
					return usage(cmd, err)
				}
			}
			return runLocate(cmd.Context(), cmd, c, selector)
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&project, "project", "", projectUsage)
	c.docker.add(cmd.Flags())
	return cmd
}

// parseContainer reads a container's name, with or without docker://.
func parseContainer(name, project string) (containerpg.Selector, error) {
	if !containerpg.IsURL(name) {
		name = "docker://" + name
	}
	return containerpg.ParseURL(name, project)
}

func runLocate(ctx context.Context, cmd *cobra.Command, c *cli, selector containerpg.Selector) error {
	var servers []*containerpg.Server
	err := c.withReporter(func(reporter progress.Reporter) (err error) {
		r := &resolver{cmd: cmd, c: c, reporter: reporter}
		defer func() { err = errors.Join(err, r.Close()) }()
		engine, err := r.docker(ctx)
		if err != nil {
			return err
		}
		servers, err = engine.Locate(ctx, selector)
		return err
	})
	if err != nil {
		return err
	}
	if len(servers) == 0 {
		return &containerpg.NotFoundError{Selector: selector}
	}
	if err := c.printServers(servers); err != nil {
		return err
	}
	named := selector.Name != "" || selector.Port != 0
	if named && len(servers) == 1 && servers[0].Problem != "" {
		return errors.New(servers[0].Problem)
	}
	if !c.json {
		for _, s := range servers {
			if s.Problem != "" {
				fmt.Fprintf(c.stderr, "%s: %s\n", s.Name, s.Problem)
			}
		}
	}
	return nil
}

func (c *cli) printServers(servers []*containerpg.Server) error {
	if !c.json {
		return c.print(serverTable(servers))
	}
	for _, s := range servers {
		if err := writeJSON(c.stdout, "server", s); err != nil {
			return err
		}
	}
	return nil
}

// serverTable lists servers in columns, with a line for each database.
func serverTable(servers []*containerpg.Server) string {
	t := table{align: "lllllllll"}
	t.add("NAME", "IMAGE", "VERSION", "PROJECT/SERVICE", "PORT", "ADDRESS", "VIA", "USER", "DATABASES")
	for _, s := range servers {
		service := ""
		if s.Service != "" {
			service = s.Project + "/" + s.Service
		}
		cells := []string{s.Name, s.Image, s.Version, service, ports(s.Published), s.Address, s.Via, s.User}
		for i := range cells {
			cells[i] = orDash(cells[i])
		}
		if len(s.Databases) == 0 {
			t.add(append(cells, "-")...)
		}
		for i, db := range s.Databases {
			if i > 0 {
				cells = make([]string, len(cells))
			}
			t.add(append(cells, databaseText(db))...)
		}
	}
	return t.String()
}

// ports lists the host ports that are published, each once.
func ports(published []containerpg.Published) string {
	var list []string
	for _, p := range published {
		port := strconv.Itoa(p.HostPort)
		if len(list) == 0 || list[len(list)-1] != port {
			list = append(list, port)
		}
	}
	return strings.Join(list, ",")
}

func databaseText(db containerpg.Database) string {
	if db.Bytes < 0 {
		return printable(db.Name)
	}
	return printable(db.Name) + " (" + human.Bytes(db.Bytes) + ")"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
