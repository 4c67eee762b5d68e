# A role for each machine that can read two objects, the bundle and the machine's own join token, and
# nothing else. No agent gets at it: docs/cloud.md, "The metadata service".

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "machine" {
  for_each = var.machines

  statement {
    actions = ["s3:GetObject"]
    resources = [
      "${aws_s3_bucket.this.arn}/${var.bundle_key}",
      "${aws_s3_bucket.this.arn}/join/${each.key}",
    ]
  }
}

resource "aws_iam_role" "machine" {
  for_each = var.machines

  name_prefix        = "clove-"
  description        = "Machine ${each.key} of the deployment ${var.name} of Clove"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "machine" {
  for_each = var.machines

  name_prefix = "clove-"
  role        = aws_iam_role.machine[each.key].id
  policy      = data.aws_iam_policy_document.machine[each.key].json
}

resource "aws_iam_instance_profile" "machine" {
  for_each = var.machines

  name_prefix = "clove-"
  role        = aws_iam_role.machine[each.key].name
}
