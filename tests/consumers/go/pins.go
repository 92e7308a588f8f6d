//go:build tools

// Pins the Go clients that the tests run as they are.
package main

import (
	_ "github.com/ankitpokhrel/jira-cli/cmd/jira"
	_ "github.com/prometheus/alertmanager/cmd/amtool"
)
