"""Policies: everything that turns detections into verdicts, as a value, as a file, and as the engine's parameters."""

from tertium_server.policy.compilation import box_weights, compile_parameters, track_weights
from tertium_server.policy.errors import PolicyError, PolicyStoreError, Problem, UnknownVersionError
from tertium_server.policy.file import default_policy, differing, dump_policy, load_policy, parse_policy
from tertium_server.policy.model import Policy
from tertium_server.policy.resolution import Situation, effective_judgement, effective_tracker

__all__ = [
    "Policy",
    "PolicyError",
    "PolicyStoreError",
    "Problem",
    "Situation",
    "UnknownVersionError",
    "box_weights",
    "compile_parameters",
    "default_policy",
    "differing",
    "dump_policy",
    "effective_judgement",
    "effective_tracker",
    "load_policy",
    "parse_policy",
    "track_weights",
]
