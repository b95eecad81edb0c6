"""The alarm on what a team spends. The fuse (`budget.stop`) is the gateway's, which counts awake hours."""

import pulumi
import pulumi_aws as aws

from infra.spec import BudgetSpec
from infra.tags import TEAM, Tags

ALARMS = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""Percent of the budget at which a mail goes out."""

ACTIVATE = (
    f"The budget counts by the tag {TEAM}: activate it once for the account (Billing → Cost allocation tags; "
    "it shows there a day after the first resource has it), or the alarm never rings"
)


class Alarm(pulumi.ComponentResource):
    """A monthly budget over what is tagged with the team; mails at 80 %, 100 % and a forecast of 100 %."""

    def __init__(
        self, name: str, budget: BudgetSpec, tags: Tags, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("easel:budget:Alarm", name, None, opts)
        aws.budgets.Budget(
            tags.name("budget"),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(budget.monthly),
            limit_unit="USD",
            # AWS writes a tag of one's own as user:<key>$<value>.
            cost_filters=[
                aws.budgets.BudgetCostFilterArgs(name="TagKeyValue", values=[f"user:{TEAM}${tags.team}"])
            ],
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=[budget.notify],
                )
                for kind, percent in ALARMS
            ],
            tags=tags.of_team("budget"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
