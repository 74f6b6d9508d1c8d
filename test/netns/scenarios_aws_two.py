"""`cloudspan mirror … aws`: two mirrors of one VPC to one collector."""
from aws_lab import TARGET, Aws
from mirror_command import DONE
from scenario import scenario
from scenarios_aws import must


@scenario("aws-two-mirrors")
def two_mirrors(lab):
    """They share the collector's target, whichever made it; remove --all leaves nothing."""
    aws = Aws(lab)
    for name in ("first", "second"):
        aws.name = name
        aws.call("apply").must(DONE)
    must(len(aws.cloud.all(TARGET)) == 1, "a collector's interface is one target")
    aws.name = None
    aws.call("remove", "--all").must(DONE)
    aws.must_be_as_before()
