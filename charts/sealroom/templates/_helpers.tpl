{{/* Names are fixed: gates, canaries and NetworkPolicies find each other by them, and one cluster has one Sealroom. */}}

{{/* Labels of every object. Takes a dict: root, component. */}}
{{- define "sealroom.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "sealroom.selector" . }}
{{- end }}

{{/* Labels that select pods of one component. Takes a dict: root, component. */}}
{{- define "sealroom.selector" -}}
app.kubernetes.io/name: sealroom
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The image, or a failure that says what to write. The schema has checked its form. */}}
{{- define "sealroom.image" -}}
{{- required "image is not set: give the Sealroom image by digest, for example --set image=registry.internal:5000/sealroom@sha256:<64 hex digits>" .Values.image -}}
{{- end }}

{{/* The Secret with the signing key. */}}
{{- define "sealroom.keySecret" -}}
{{- .Values.seal.keySecret.name | default "sealroom-seal-key" -}}
{{- end }}

{{/* What the restricted Pod Security Standard asks of a pod. */}}
{{- define "sealroom.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What the restricted Pod Security Standard asks of a container, and a root filesystem that nobody writes. */}}
{{- define "sealroom.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* imagePullSecrets of our own pods. */}}
{{- define "sealroom.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where a pod may run. Takes the component's values. */}}
{{- define "sealroom.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
