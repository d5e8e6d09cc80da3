{{- /* Names. The release `ccgpu` gives ccgpu-emulator, ccgpu-broker, ...; node labels and the RuntimeClass belong to the whole cluster, so
that a cluster holds one installation. */ -}}
{{- define "ccgpu.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ccgpu.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "ccgpu.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ccgpu.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ccgpu.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- /* dict "root" . "part" "emulator" -> the image's name */ -}}
{{- define "ccgpu.image" -}}
{{- $image := .root.Values.image -}}
{{- printf "%s/%s/%s:%s" $image.registry $image.repository .part ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}

{{- define "ccgpu.selector" -}}
app.kubernetes.io/name: {{ include "ccgpu.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "ccgpu.labels" -}}
{{ include "ccgpu.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "ccgpu.metadata" -}}
name: {{ include "ccgpu.fullname" .root }}-{{ .part }}
namespace: {{ include "ccgpu.namespace" .root }}
labels:
  {{- include "ccgpu.labels" . | nindent 2 }}
{{- end -}}

{{- /* Of a pod's template; "annotations": those of the component. No version: pods restart only when what they run differs. */ -}}
{{- define "ccgpu.podMetadata" -}}
labels:
  {{- include "ccgpu.selector" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What every pod of ours says; "account": "" for a pod that never talks to the API */ -}}
{{- define "ccgpu.podCommon" -}}
serviceAccountName: {{ include "ccgpu.fullname" .root }}-{{ .part }}
automountServiceAccountToken: {{ .api | default false }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- end -}}

{{- /* Where the DaemonSets run: on nodes that somebody labelled, nowhere else */ -}}
{{- define "ccgpu.daemonPlacement" -}}
priorityClassName: {{ .Values.priorityClassName }}
nodeSelector:
  {{- toYaml (merge (dict "ccgpu.dev/enabled" "true") .Values.nodeSelector) | nindent 2 }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
# While the node manager switches modes it keeps new pods away, but never us.
- key: ccgpu.dev/cc-mode-switch
  operator: Exists
{{- with .Values.tolerations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The pod's securityContext: `base` is ours, the values add what distributions need */ -}}
{{- define "ccgpu.podSecurity" -}}
{{- toYaml (merge (dict) .base .root.Values.podSecurityContext) -}}
{{- end -}}

{{- /* A container that needs no privilege at all */ -}}
{{- define "ccgpu.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* Probes on a port named "http": dict "ready" PATH "live" PATH "scheme" */ -}}
{{- define "ccgpu.probes" -}}
startupProbe:
  httpGet: {path: {{ .live }}, port: http, scheme: {{ .scheme | default "HTTP" }}}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: {{ .ready }}, port: http, scheme: {{ .scheme | default "HTTP" }}}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: {{ .live }}, port: http, scheme: {{ .scheme | default "HTTP" }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- /* Where agents find the broker */ -}}
{{- define "ccgpu.brokerUrl" -}}
{{- $service := .Values.broker.service -}}
{{- if .Values.broker.externalUrl -}}
{{- .Values.broker.externalUrl -}}
{{- else if $service.clusterIP -}}
{{- printf "https://%s:%d" (contains ":" $service.clusterIP | ternary (printf "[%s]" $service.clusterIP) $service.clusterIP) (int $service.port) -}}
{{- else -}}
{{- printf "https://%s-broker.%s.svc:%d" (include "ccgpu.fullname" .) (include "ccgpu.namespace" .) (int $service.port) -}}
{{- end -}}
{{- end -}}

{{- /* Names and addresses in the broker's certificate, as a JSON list */ -}}
{{- define "ccgpu.tlsNames" -}}
{{- $service := printf "%s-broker" (include "ccgpu.fullname" .) -}}
{{- $namespace := include "ccgpu.namespace" . -}}
{{- $names := list (printf "%s.%s.svc" $service $namespace) (printf "%s.%s.svc.cluster.local" $service $namespace) (printf "%s.%s" $service $namespace) $service -}}
{{- with .Values.broker.service.clusterIP }}{{ $names = append $names . }}{{ end -}}
{{- with .Values.broker.externalUrl }}{{ $names = append $names (urlParse .).hostname }}{{ end -}}
{{- concat $names .Values.broker.tlsNames | uniq | toJson -}}
{{- end -}}

{{- define "ccgpu.emulatorUrl" -}}
{{- $port := int .Values.emulator.service.port -}}
{{- printf "http://%s-emulator.%s.svc%s" (include "ccgpu.fullname" .) (include "ccgpu.namespace" .) (eq $port 80 | ternary "" (printf ":%d" $port)) -}}
{{- end -}}
{{- define "ccgpu.rimUrl" -}}
{{- .Values.broker.collateral.rimUrl | default (printf "%s/v1/rim/" (include "ccgpu.emulatorUrl" .)) -}}
{{- end -}}
{{- define "ccgpu.ocspUrl" -}}
{{- .Values.broker.collateral.ocspUrl | default (printf "%s/ocsp" (include "ccgpu.emulatorUrl" .)) -}}
{{- end -}}
{{- define "ccgpu.pcsUrl" -}}
{{- .Values.broker.collateral.pcsUrl | default (include "ccgpu.emulatorUrl" .) -}}
{{- end -}}

{{- define "ccgpu.hookPlacement" -}}
{{- with .Values.hooks.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hooks.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
