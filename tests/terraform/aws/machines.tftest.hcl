# `terraform test` plans and applies the module against the provider's schema alone: no account, no network.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\": \"2012-10-17\", \"Statement\": []}" }
  }
  mock_data "aws_ami" {
    defaults = { id = "ami-0123456789abcdef0" }
  }
  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::clove-lab-0123" }
  }
}

variables {
  name             = "lab"
  region           = "eu-central-1"
  machines         = { lab-1 = "tests/user-data", lab-2 = "tests/user-data" }
  join_token_files = { lab-1 = "tests/user-data", lab-2 = "tests/user-data" }
  bundle_file      = "tests/user-data"
  bundle_key       = "bundle-0123.tar.gz"
  bucket           = "clove-lab-0123"
  instance_type    = "t3.medium"
}

run "two_machines" {
  command = apply

  assert {
    condition     = length(output.instances) == 2 && length(aws_iam_role.machine) == 2
    error_message = "Each machine has an instance and a role."
  }

  assert {
    condition = alltrue([for each in aws_instance.machine : alltrue([
      each.root_block_device[0].encrypted,
      each.metadata_options[0].http_tokens == "required",
      each.metadata_options[0].http_put_response_hop_limit == 1,
      length(each.instance_market_options) == 0,
    ])])
    error_message = "Disks are encrypted; metadata wants a session and goes no hop further; nothing is spot unasked."
  }

  assert {
    condition     = length(aws_security_group.machine.ingress) == 0
    error_message = "Nothing may come in."
  }
}

run "joined_machines_have_no_token_in_the_bucket" {
  command = apply

  variables {
    join_token_files = {}
  }

  assert {
    condition     = length(aws_s3_object.join_token) == 0
    error_message = "A used token stays in the bucket."
  }
}

run "spot_on_another_processor" {
  command = plan

  variables {
    spot          = true
    instance_type = "t4g.medium"
    architecture  = "arm64"
    egress_ports  = [443, 8765]
    zone          = "eu-central-1b"
  }

  assert {
    condition = alltrue([for each in aws_instance.machine : (
      each.instance_market_options[0].market_type == "spot"
    )])
    error_message = "--spot has no effect."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.machine) == 2
    error_message = "One rule for each port."
  }
}

run "a_wrong_name" {
  command = plan

  variables {
    name = "Lab_1"
  }

  expect_failures = [var.name]
}

run "no_machine" {
  command = plan

  variables {
    machines = {}
  }

  expect_failures = [var.machines]
}
