{{/* The name of the broker's objects, and the prefix of all others. */}}
{{- define "callboard.name" -}}
{{ .Release.Name | trunc 30 | trimSuffix "-" }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "callboard.labels" -}}
{{ include "callboard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The labels that select pods, together with app.kubernetes.io/component. */}}
{{- define "callboard.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The name of the Secret with the authkey. */}}
{{- define "callboard.secret" -}}
{{ .Values.authkey.existingSecret | default (printf "%s-authkey" (include "callboard.name" .)) }}
{{- end }}

{{/* What all pods have: no rights, and no variables of services, whose names begin with CALLBOARD_ too. */}}
{{- define "callboard.pod" -}}
enableServiceLinks: false
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # The group of the mounted key.
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* What all containers have. */}}
{{- define "callboard.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
livenessProbe:
  httpGet: { path: /live, port: admin }
  periodSeconds: 5
  timeoutSeconds: 3
readinessProbe:
  httpGet: { path: /ready, port: admin }
  periodSeconds: 2
  timeoutSeconds: 3
{{- end }}

{{/* The variables with which a container finds its key. In the folder of credentials, the key's group may read it. */}}
{{- define "callboard.keyVariables" -}}
- { name: CREDENTIALS_DIRECTORY, value: /run/secrets/callboard }
- { name: CALLBOARD_AUTHKEY_FILE, value: /run/secrets/callboard/authkey }
{{- end }}

{{/* The volume of the key. */}}
{{- define "callboard.keyVolume" -}}
- name: authkey
  secret:
    secretName: {{ include "callboard.secret" . }}
    defaultMode: 0400
    items: [{ key: authkey, path: authkey }]
{{- end }}
