//! Variables, files and volumes of a server.

use serde_json::json;

use super::Refused;

pub fn refused() -> Vec<Refused> {
    vec![
        (
            json!({ "spec.env": [{ "name": "A", "value": "x", "secretKeyRef": { "name": "s", "key": "k" } }] }),
            "exactly one of value, secretKeyRef and configMapKeyRef",
        ),
        (
            json!({ "spec.env": [{ "name": "A" }] }),
            "exactly one of value",
        ),
        (
            json!({ "spec.env": [{ "name": "A", "value": "x" }, { "name": "A", "value": "y" }] }),
            "Duplicate value",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/etc/a" }] }),
            "exactly one of secretRef and configMapRef",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/etc/sealroom/a", "secretRef": { "name": "a" } }] }),
            "taken by the pod itself",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/tmp", "scratch": { "size": "1Gi" } }] }),
            "taken by the pod itself",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/./opt/sealroom", "scratch": { "size": "1Gi" } }] }),
            "is . or ..",
        ),
        (
            json!({ "spec.files": [{ "mountPath": "/a/../run/sealroom/gate", "secretRef": { "name": "a" } }] }),
            "is . or ..",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/m", "persistentVolumeClaim": { "claimName": "smollm2-0123456789ab" } }] }),
            "that of a model's claim",
        ),
        (
            json!({ "spec.volumes": [{ "mountPath": "/a" }] }),
            "exactly one of scratch and persistentVolumeClaim",
        ),
    ]
}
