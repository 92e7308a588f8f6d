{{- define "jco.selector" -}}
app.kubernetes.io/name: jira-credential-operator
{{- end }}

{{- define "jco.labels" -}}
{{ include "jco.selector" . }}
app.kubernetes.io/part-of: jira-credential-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "jco.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The port at the end of an address. */}}
{{- define "jco.metricsPort" -}}
{{ .Values.config.metricsBindAddress | default ":8080" | regexFind "[0-9]+$" }}
{{- end }}

{{- define "jco.healthPort" -}}
{{ .Values.config.healthProbeBindAddress | default ":8081" | regexFind "[0-9]+$" }}
{{- end }}

{{- /*
The objects of a file that the chart shares with the manifests of deploy/, in the namespace of the
release and with its labels. Takes a list: the root, the file, annotations to add; for roles that are not
about the Lease also their namespace.
*/}}
{{- define "jco.shared" -}}
{{- $arguments := . }}
{{- $root := index . 0 }}
{{- $file := index . 1 }}
{{- $annotations := index . 2 }}
{{- $namespace := $root.Release.Namespace }}
{{- $account := $root.Values.serviceAccount.name }}
{{- $text := $root.Files.Get $file | required (printf "%s is missing" $file) }}
{{- $text = $text | replace "system:serviceaccount:jira-credential-operator:jira-credential-operator" (printf "system:serviceaccount:%s:%s" $namespace $account) }}
{{- $text = $text | replace "request.namespace != 'jira-credential-operator'" (printf "request.namespace != '%s'" $namespace) }}
{{- range $document := splitList "\n---\n" $text }}
{{- $object := fromYaml $document }}
{{- if not $object.kind }}
{{- fail (printf "%s cannot be read: %s" $file ($object.Error | default "no kind")) }}
{{- end }}
{{- $metadata := $object.metadata }}
{{- $_ := set $metadata "labels" (merge (include "jco.labels" $root | fromYaml) ($metadata.labels | default dict)) }}
{{- with $annotations }}
{{- $_ := set $metadata "annotations" (merge (deepCopy .) ($metadata.annotations | default dict)) }}
{{- end }}
{{- if has $object.kind (list "ServiceAccount" "PrometheusRule") }}
{{- $_ := set $metadata "namespace" $namespace }}
{{- end }}
{{- if has $object.kind (list "Role" "RoleBinding") }}
{{- $lease := $root.Values.config.leaderElectionNamespace | default $namespace }}
{{- $_ := set $metadata "namespace" (gt (len $arguments) 3 | ternary (last $arguments) $lease) }}
{{- end }}
{{- /* With roles in the listed namespaces, the rest is whether the admission policy is in force. */}}
{{- if and (eq $file "files/rbac.yaml") (eq $object.kind "ClusterRole") $root.Values.config.watchNamespaces }}
{{- $rules := list }}
{{- range $rule := $object.rules }}
{{- if has "admissionregistration.k8s.io" $rule.apiGroups }}
{{- $rules = append $rules $rule }}
{{- end }}
{{- end }}
{{- $_ := set $object "rules" $rules }}
{{- end }}
{{- if eq ($root.Values.config.watchSecrets | default "metadata") "none" }}
{{- range $rule := $object.rules }}
{{- if has "secrets" $rule.resources }}
{{- $_ := set $rule "verbs" (without $rule.verbs "list" "watch") }}
{{- end }}
{{- end }}
{{- end }}
{{- range $subject := $object.subjects }}
{{- $_ := set $subject "namespace" $namespace }}
{{- $_ := set $subject "name" $account }}
{{- end }}
{{- if eq $object.kind "ServiceAccount" }}
{{- $_ := set $metadata "name" $account }}
{{- with $root.Values.serviceAccount.annotations }}
{{- $_ := set $metadata "annotations" . }}
{{- end }}
{{- end }}
{{- $roles := list "files/rbac.yaml" "files/shard-leases.yaml" "files/own-secrets.yaml" "files/namespace-roles.yaml" }}
{{- $installed := or $root.Values.rbac.install (not (has $file $roles)) }}
{{- if eq $object.kind "ServiceAccount" }}
{{- $installed = $root.Values.serviceAccount.create }}
{{- end }}
{{- if $installed }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end }}
