// Package certs keeps the certificates, keys and certificate authorities that
// the configuration names, and makes of them the settings of TLS with clients
// and with upstreams. They follow the files: what changes on disk is in force
// soon, without a reload, and what is broken never comes into force.
package certs
