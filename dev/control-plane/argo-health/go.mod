// Runs a health check of Argo CD with the Lua interpreter that Argo CD uses.
module jira-credential-operator/argo-health

go 1.26.0

require github.com/yuin/gopher-lua v1.1.2
