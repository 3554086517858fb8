// Package ext stands for a module of Traefik's repository that its archive leaves out, being a module of its own:
// it is as empty there.
package ext

// HTTP adds nothing.
type HTTP struct{}

// Router adds nothing.
type Router struct{}
