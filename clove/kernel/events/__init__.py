"""Events: subscriptions, and the events that wait for subscribers."""

from clove.kernel.events.bus import Audience, EventBus
from clove.kernel.events.custom import custom_data
from clove.kernel.events.limits import EventLimits

__all__ = ["Audience", "EventBus", "EventLimits", "custom_data"]
