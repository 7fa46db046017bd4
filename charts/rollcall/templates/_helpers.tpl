{{/* Names: rollcall-operator, rollcall-api, rollcall-postgres for a release called rollcall. */}}
{{- define "rollcall.fullname" -}}
{{- $name := .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- if contains .Chart.Name $name }}{{ $name }}{{ else }}{{ printf "%s-%s" $name .Chart.Name }}{{ end -}}
{{- end }}

{{/* What selects the pods of a component, and never changes. Arguments: root, component. */}}
{{- define "rollcall.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object. Arguments: root, and component if it belongs to one. */}}
{{- define "rollcall.labels" -}}
{{- if .component -}}
{{ include "rollcall.selector" . }}
{{- else -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image reference. Arguments: root, image (operator, sidecar, postgres). */}}
{{- define "rollcall.image" -}}
{{- $image := index .root.Values.image .image -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* The same for all our pods. Arguments: root, component. */}}
{{- define "rollcall.pod" -}}
# Kubernetes would add variables like ROLLCALL_API_PORT, which are no settings of ours.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "rollcall.selector" . | nindent 8 }}
{{- end }}

{{/* The same for all our containers. */}}
{{- define "rollcall.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/* Metadata of a pod template. Arguments: root, component. Without the labels that change with the
     chart's version, which would restart Postgres for nothing. */}}
{{- define "rollcall.podMetadata" -}}
labels:
  {{- include "rollcall.selector" . | nindent 2 }}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Where the database is, for every process of ours. */}}
{{- define "rollcall.databaseEnv" -}}
{{- if .Values.postgres.embedded.enabled -}}
- name: ROLLCALL_DATABASE_DSN
  value: postgresql://rollcall@{{ include "rollcall.fullname" . }}-postgres.{{ .Release.Namespace }}.svc:5432/rollcall
- name: ROLLCALL_DATABASE_PASSWORD_FILE
  value: /etc/rollcall/database/password
{{- else -}}
- name: ROLLCALL_DATABASE_DSN_FILE
  value: /etc/rollcall/database/dsn
{{- end }}
{{- end }}

{{- define "rollcall.databaseMount" -}}
- name: database
  mountPath: /etc/rollcall/database
  readOnly: true
{{- end }}

{{/* The embedded database's Secret appears when Postgres first starts; kubelet waits for it. */}}
{{- define "rollcall.databaseVolume" -}}
- name: database
  secret:
    defaultMode: 0440
    {{- if .Values.postgres.embedded.enabled }}
    secretName: {{ include "rollcall.fullname" . }}-postgres
    items: [{key: password, path: password}]
    {{- else }}
    secretName: {{ .Values.postgres.external.dsnSecret.name }}
    items: [{key: {{ .Values.postgres.external.dsnSecret.key | quote }}, path: dsn}]
    {{- end }}
{{- end }}

{{/* Waits for the database and brings its schema up to date; one pod does it, the others wait. */}}
{{- define "rollcall.upgrade" -}}
- name: upgrade
  image: {{ include "rollcall.image" (dict "root" .root "image" "operator") }}
  imagePullPolicy: {{ .root.Values.image.operator.pullPolicy }}
  args: [db, upgrade]
  env:
    - name: ROLLCALL_LOG_LEVEL
      value: {{ .root.Values.logLevel }}
    {{- include "rollcall.databaseEnv" .root | nindent 4 }}
  resources:
    {{- toYaml .resources | nindent 4 }}
  {{- include "rollcall.container" . | nindent 2 }}
  volumeMounts:
    {{- include "rollcall.databaseMount" . | nindent 4 }}
{{- end }}

{{/* Settings of operator and api alike. */}}
{{- define "rollcall.processEnv" -}}
- name: ROLLCALL_CLUSTER
  value: {{ .Values.clusterName | quote }}
- name: ROLLCALL_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: ROLLCALL_IDENTITY
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: ROLLCALL_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{ include "rollcall.databaseEnv" . }}
{{- end }}

{{/* Probes on the port that serves health and metrics. */}}
{{- define "rollcall.probes" -}}
livenessProbe:
  httpGet:
    path: /livez
    port: health
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  periodSeconds: 5
  timeoutSeconds: 5
# A start under cpu pressure may take its time without being killed for it.
startupProbe:
  httpGet:
    path: /livez
    port: health
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
{{- end }}

{{/* Refuses values that contradict one another. */}}
{{- define "rollcall.validate" -}}
{{- $embedded := .Values.postgres.embedded.enabled -}}
{{- $external := .Values.postgres.external.dsnSecret.name -}}
{{- if and $embedded $external -}}
{{- fail "postgres: there are two databases; set postgres.embedded.enabled to false to use postgres.external.dsnSecret" -}}
{{- end -}}
{{- if not (or $embedded $external) -}}
{{- fail "postgres: there is no database; name a Secret in postgres.external.dsnSecret.name, or set postgres.embedded.enabled to true" -}}
{{- end -}}
{{- if and .Values.deadman.url .Values.deadman.urlSecret.name -}}
{{- fail "deadman: there are two addresses; leave deadman.url empty to use deadman.urlSecret" -}}
{{- end -}}
{{- end }}
