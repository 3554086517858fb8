{{/* What the policies of the guard have in common: a policy cannot read the variables of another one. */}}

{{/* The user that the operator is. Takes the root. */}}
{{- define "sealroom.guard.operator" -}}
{{- printf "system:serviceaccount:%s:sealroom-operator" .Release.Namespace | quote -}}
{{- end }}

{{/*
The operator and some controllers of kube-system as a CEL list. Takes a dict: root, controllers. The user
system:kube-controller-manager is all of them where they have no service accounts of their own.
*/}}
{{- define "sealroom.guard.users" -}}
{{- $operator := printf "system:serviceaccount:%s:sealroom-operator" .root.Release.Namespace }}
{{- $users := list $operator "system:kube-controller-manager" }}
{{- range .controllers }}
{{- $users = append $users (printf "system:serviceaccount:kube-system:%s" .) }}
{{- end }}
{{- toJson $users -}}
{{- end }}

{{/* The condition of every policy: who may repair is not asked. Takes the root. */}}
{{- define "sealroom.guard.conditions" -}}
- name: not-exempt
  expression: >-
    !request.userInfo.groups.exists(group, group in {{ prepend .Values.guard.exempt.groups "system:masters" | toJson }})
    {{- with .Values.guard.exempt.users }}
    && !(request.userInfo.username in {{ toJson . }})
    {{- end }}
{{- end }}

{{/*
A variable: nodes, the scheduler, and service accounts of other namespaces. Network plugins and storage write
annotations as such; tenants are people, or service accounts of their own namespace.
*/}}
{{- define "sealroom.guard.infrastructure" -}}
- name: infrastructure
  expression: >-
    request.userInfo.groups.exists(group, group == "system:nodes")
    || request.userInfo.username == "system:kube-scheduler"
    || (request.userInfo.groups.exists(group, group == "system:serviceaccounts")
    && !request.userInfo.groups.exists(group, group == "system:serviceaccounts:" + namespaceObject.metadata.name))
{{- end }}

{{/* A binding. Takes a dict: root, policy, and if they differ from its name and from everything: name, match. */}}
{{- define "sealroom.guard.binding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name | default .policy }}
  labels:
    {{- include "sealroom.labels" (dict "root" .root "component" "guard") | nindent 4 }}
spec:
  policyName: {{ .policy }}
  # The audit log of the API server gets the refusal as an annotation of the event.
  validationActions: [Deny, Audit]
  {{- with .match }}
  matchResources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
