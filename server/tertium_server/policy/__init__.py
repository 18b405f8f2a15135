"""Policies: everything that turns detections into verdicts, as a value, as a file, and as the engine's parameters."""

from tertium_server.policy.compilation import compile_parameters
from tertium_server.policy.errors import PolicyError
from tertium_server.policy.file import default_policy, dump_policy, load_policy, parse_policy
from tertium_server.policy.model import Policy

__all__ = [
    "Policy",
    "PolicyError",
    "compile_parameters",
    "default_policy",
    "dump_policy",
    "load_policy",
    "parse_policy",
]
