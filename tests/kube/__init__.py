"""The kubernetes engine against a Kubernetes double that is stricter than most clusters."""
