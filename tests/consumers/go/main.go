// Sends one alert to the first Jira of a configuration, with the code and the configuration of Alertmanager.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/notify/jira"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/alertmanager/types"
	"github.com/prometheus/common/model"
)

func main() {
	if err := send(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send(file string) error {
	settings, err := config.LoadFile(file)
	if err != nil {
		return err
	}
	templates, err := template.FromGlobs(nil)
	if err != nil {
		return err
	}
	templates.ExternalURL = &url.URL{Scheme: "http", Host: "alertmanager.example"}
	receiver := settings.Receivers[0]
	// The names of the sites are known to the proxy alone.
	receiver.JiraConfigs[0].HTTPConfig.ProxyFromEnvironment = true
	notifier, err := jira.New(receiver.JiraConfigs[0], templates, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	labels := model.LabelSet{"alertname": "Test"}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ctx = notify.WithReceiverName(ctx, receiver.Name)
	ctx = notify.WithGroupKey(ctx, "test")
	ctx = notify.WithGroupLabels(ctx, labels)
	alert := &types.Alert{Alert: model.Alert{Labels: labels, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}}
	_, err = notifier.Notify(ctx, alert)
	return err
}
