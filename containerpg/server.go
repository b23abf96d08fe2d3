package containerpg

import (
	"fmt"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/jackc/pgx/v5"
)

// A Server is a Postgres server in a running container. It holds no secret that
// fmt, slog or encoding/json could show: the password is reached only through
// [Server.ConnConfig].
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Image   string `json:"image"`
	Project string `json:"project,omitempty"` // Compose project
	Service string `json:"service,omitempty"` // Compose service

	Published []Published `json:"published"`

	// Path is the way chosen and Via says it in words. Address is where it leads:
	// a host and port, which Host and Port are too, or the folder of a socket. All
	// are empty if the server cannot be reached. An address changes when a
	// container is restarted: ConnConfig finds the one there is.
	Path    Via    `json:"path,omitempty"`
	Via     string `json:"via,omitempty"`
	Address string `json:"address,omitempty"`
	Host    string `json:"host,omitempty"`
	Port    int    `json:"port,omitempty"`

	User      string `json:"user,omitempty"`
	Superuser bool   `json:"superuser"`
	// Database is the database that was asked for, or else the one the
	// container's environment names. It may not exist.
	Database string `json:"database,omitempty"`

	Version          string     `json:"version,omitempty"`     // such as 17.6
	VersionNum       int        `json:"version_num,omitempty"` // such as 170006
	SystemIdentifier string     `json:"system_identifier,omitempty"`
	DataDir          string     `json:"data_dir,omitempty"` // inside the container
	ShmSize          int64      `json:"shm_size"`           // of /dev/shm
	Databases        []Database `json:"databases"`

	// Problem says why the server cannot be used as it is; empty if it can.
	Problem string `json:"problem,omitempty"`

	conn   *pgx.ConnConfig // as it last connected, with the password; nil with a Problem
	inside insideAddress

	limits   container.Resources
	volatile []string // folders inside that are kept in memory

	startedAt string // the container; "" once this program has restarted it
}

// An insideAddress is where a server answers to what runs in its container, or
// on its network.
type insideAddress struct {
	host      string // over TCP; empty: nowhere
	port      int
	socketDir string
	user      string // of the container's, whom the server lets in; empty: any
}

// Published is a port of the container that is published on the host.
type Published struct {
	HostIP        string `json:"host_ip"`
	HostPort      int    `json:"host_port"`
	ContainerPort int    `json:"container_port"`
}

// Database is a database of a server. Bytes is -1 if its size may not be read.
type Database struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// ConnConfig answers how to connect to a database of the server, password
// included. Without a database it is the one through which the server was
// reached, which exists and is seldom the user's: postgres, as a rule. The
// result belongs to the caller. It is nil for a server that has a Problem.
func (s *Server) ConnConfig(database string) *pgx.ConnConfig {
	if s.conn == nil {
		return nil
	}
	config := s.conn.Copy()
	if database != "" {
		config.Database = database
	}
	return config
}

// describe tells the server from others, in a few words.
func (s *Server) describe() string {
	about := []string{s.Image}
	if s.Service != "" {
		about = append(about, "service "+s.Project+"/"+s.Service)
	}
	for _, p := range s.Published {
		if port := fmt.Sprintf(":%d", p.HostPort); about[len(about)-1] != port {
			about = append(about, port)
		}
	}
	return s.Name + " (" + strings.Join(about, ", ") + ")"
}

// Inside is where libpq finds the server from a container that has the network
// of the server's own, as one made with [RunSpec.Network] of s.Network has.
func (s *Server) Inside() (host string, port int, ok bool) {
	return s.inside.host, s.inside.port, s.inside.host != ""
}

// Network is the network mode of containers that are to reach the server from
// inside.
func (s *Server) Network() string { return "container:" + s.ID }
