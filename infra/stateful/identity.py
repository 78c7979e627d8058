"""Who may come in: a Cognito user pool with one group for each role; people are invited, they do not sign up."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.config import Config
from infra.provider import own_function

ROLES = ("viewer", "reviewer", "operator", "admin")


class Identity(Construct):
    """`pool`, and `client` for console and command line: access 1 h, refresh 7 d, RS256."""

    def __init__(self, scope: Construct, id: str, *, config: Config) -> None:
        super().__init__(scope, id)
        claims = own_function(self, "claims", folder="token_claims", handler="handler", statements=[], seconds=5)
        self.pool = cognito.UserPool(
            self,
            "pool",
            user_pool_name=config.name,
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            sign_in_case_sensitive=False,
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(
                min_length=14,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=True,
            ),
            custom_attributes={"tenant": cognito.StringAttribute(min_len=36, max_len=36, mutable=True)},
            feature_plan=cognito.FeaturePlan.PLUS if config.production else cognito.FeaturePlan.ESSENTIALS,
            standard_threat_protection_mode=(
                cognito.StandardThreatProtectionMode.FULL_FUNCTION
                if config.production
                else cognito.StandardThreatProtectionMode.NO_ENFORCEMENT
            ),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            deletion_protection=config.production,
            removal_policy=RemovalPolicy.RETAIN,
        )
        if not config.production:
            acknowledge(
                self.pool,
                "frugal: threat protection costs per person and month; a second factor is required of everybody",
                "AwsSolutions-COG3",
                "AwsSolutions-COG8",
            )
        self.pool.add_trigger(cognito.UserPoolOperation.PRE_TOKEN_GENERATION_CONFIG, claims, cognito.LambdaVersion.V2_0)
        for number, role in enumerate(reversed(ROLES)):
            cognito.CfnUserPoolGroup(
                self,
                f"group-{role}",
                user_pool_id=self.pool.user_pool_id,
                group_name=role,
                description=f"May do what a {role} may",
                precedence=number,
            )
        self.client = self.pool.add_client(
            "client",
            user_pool_client_name=f"{config.name}-console",
            # the admin flow needs IAM rights: it is for an operator's smoke test, and opens nothing to the world
            auth_flows=cognito.AuthFlow(user_srp=True, admin_user_password=True),
            access_token_validity=Duration.hours(1),
            id_token_validity=Duration.hours(1),
            refresh_token_validity=Duration.days(7),
            enable_token_revocation=True,
            prevent_user_existence_errors=True,
            generate_secret=False,
            disable_o_auth=True,
            # nobody moves to another tenant by editing their own profile
            write_attributes=cognito.ClientAttributes().with_standard_attributes(fullname=True, locale=True),
            read_attributes=cognito.ClientAttributes()
            .with_standard_attributes(email=True, email_verified=True, fullname=True, locale=True)
            .with_custom_attributes("tenant"),
        )
