//go:build tools

// Package consumers pins the Go clients that the tests run.
package consumers

import (
	_ "github.com/ankitpokhrel/jira-cli/cmd/jira"
	_ "github.com/prometheus/alertmanager/cmd/amtool"
)
