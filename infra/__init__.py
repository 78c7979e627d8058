"""The AWS side as code: a stateful and a stateless stack for each deployment, one construct a file."""
